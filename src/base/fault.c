/* fault.c -- arms the named fault points from the environment or from a test. */
#include "base/fault.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#define RULES_MAX 16

struct rule {
    char name[64];
    long at, passed;
    bool die;
};

static struct {
    pthread_mutex_t lock;
    bool is_read;
    struct rule rules[RULES_MAX];
    size_t n_rules;
    const char *report;
    fault_hook *hook;
    void *hook_arg;
} state = {.lock = PTHREAD_MUTEX_INITIALIZER};

#ifdef JUMUN_FAULTS
enum mutant fault_mutant = MUTANT_NONE;
#endif

void fault_hook_set(fault_hook *hook, void *arg)
{
    pthread_mutex_lock(&state.lock);
    state.hook = hook;
    state.hook_arg = arg;
    pthread_mutex_unlock(&state.lock);
}

/* "name:n:die,name:n:fail"; a rule that cannot be read ends the process: a test must not run
 * unarmed. */
static void read_rules(void)
{
    const char *text = getenv("JUMUN_FAULT");

    state.is_read = true;
    state.report = getenv("JUMUN_FAULT_REPORT");
    while (text && *text) {
        struct rule *r = &state.rules[state.n_rules++];
        char action[8];
        int used = 0;

        if (state.n_rules > RULES_MAX ||
            sscanf(text, "%63[^:,]:%ld:%7[a-z]%n", r->name, &r->at, action, &used) != 3 ||
            r->at < 1 || (strcmp(action, "die") != 0 && strcmp(action, "fail") != 0) ||
            (text[used] != ',' && text[used] != '\0')) {
            fprintf(stderr, "jumun: JUMUN_FAULT: expected name:n:die|fail, got '%s'\n", text);
            _exit(2);
        }
        r->die = strcmp(action, "die") == 0;
        text += used + (text[used] == ',');
    }
}

static void report(const char *what, const char *name)
{
    char line[128];
    int fd =
        state.report ? open(state.report, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
    int n = snprintf(line, sizeof line, "%s%s\n", what, name);

    if (fd < 0)
        return;
    if (write(fd, line, (size_t)n) != n)
        fprintf(stderr, "jumun: cannot report fault point %s\n", name);
    close(fd);
}

bool fault_pass(const char *name)
{
    bool fails = false;

    pthread_mutex_lock(&state.lock);
    if (!state.is_read)
        read_rules();
    if (state.report)
        report("", name);
    for (size_t i = 0; i < state.n_rules; i++) {
        struct rule *r = &state.rules[i];
        if ((strcmp(r->name, "*") != 0 && strcmp(r->name, name) != 0) || ++r->passed != r->at)
            continue;
        report("fired ", name);
        if (r->die)
            kill(getpid(), SIGKILL);
        fails = true;
    }
    fault_hook *hook = state.hook;
    void *arg = state.hook_arg;
    pthread_mutex_unlock(&state.lock);
    return hook ? hook(arg, name) || fails : fails;
}
