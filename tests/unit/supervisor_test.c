/* supervisor_test.c -- what arrives at the supervisor's socket. */
#include "test.h"

#include "obs/supervisor.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int listen_at(const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    memcpy(at.sun_path, path, strlen(path));
    if (path[0] == '@')
        at.sun_path[0] = '\0';
    CHECK_INT(bind(fd, (const struct sockaddr *)&at,
                   (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path))),
              0);
    return fd;
}

static void told(const char *path)
{
    char got[64] = "";
    int fd = listen_at(path);
    setenv("NOTIFY_SOCKET", path, 1);
    supervisor_tell("READY=1");
    CHECK_INT(recv(fd, got, sizeof got - 1, 0), 7);
    CHECK_STR(str_from(got), "READY=1");
    CHECK_INT(recv(fd, got, sizeof got - 1, 0), -1);
    close(fd);
}

static void by_path(void)
{
    char dir[] = "/tmp/supervisor_test.XXXXXX", path[64];
    CHECK(mkdtemp(dir) != NULL);
    snprintf(path, sizeof path, "%s/socket", dir);
    told(path);
    supervisor_tell("STOPPING=1"); /* nobody listens any more */
    unlink(path);
    rmdir(dir);
}

static void by_abstract_name(void)
{
    char name[64];
    snprintf(name, sizeof name, "@supervisor_test.%d", (int)getpid());
    told(name);
}

static void nobody(void)
{
    static const char *const wrong[] = {"", "relative", "/nonexistent/socket"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        setenv("NOTIFY_SOCKET", wrong[i], 1);
        supervisor_tell("READY=1");
    }
    unsetenv("NOTIFY_SOCKET");
    supervisor_tell("READY=1");
    CHECK(true); /* still here */
}

/* The device and inode that decide, not that there is such a variable. */
static void the_journal_is_its_stream(void)
{
    int pipes[2][2];
    char stream[64];
    struct stat st;

    CHECK(pipe(pipes[0]) == 0 && pipe(pipes[1]) == 0);
    CHECK_INT(fstat(pipes[0][1], &st), 0);
    unsetenv("JOURNAL_STREAM");
    CHECK(!supervisor_reads(pipes[0][1]));
    snprintf(stream, sizeof stream, "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    CHECK(supervisor_reads(pipes[0][1]));
    CHECK(!supervisor_reads(pipes[1][1])); /* redirected */
    CHECK(!supervisor_reads(-1));
    static const char *const wrong[] = {"", ":", "8", "8:", "8:1x"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        setenv("JOURNAL_STREAM", wrong[i], 1);
        CHECK(!supervisor_reads(pipes[0][1]));
    }
    unsetenv("JOURNAL_STREAM");
    for (int i = 0; i < 4; i++)
        close(pipes[i / 2][i % 2]);
}

int main(void)
{
    RUN(by_path);
    RUN(by_abstract_name);
    RUN(nobody);
    RUN(the_journal_is_its_stream);
    return test_end();
}
