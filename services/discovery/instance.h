/* instance.h -- one registered instance as Eureka knows it, read from JSON, checked and copied. */
#pragma once

#include "base/ctx.h"
#include "data/field.h"

#define INSTANCE_BYTES_MAX 16384 /* of one instance as JSON or XML */
#define METADATA_MAX 100         /* keys */

enum instance_status {
    INSTANCE_UP,
    INSTANCE_DOWN,
    INSTANCE_STARTING,
    INSTANCE_OUT_OF_SERVICE,
    INSTANCE_UNKNOWN,
    INSTANCE_STATUSES
};
extern const char *const instance_status_names[]; /* NULL-terminated */

enum instance_action { INSTANCE_ADDED, INSTANCE_MODIFIED, INSTANCE_DELETED };
extern const char *const instance_action_names[];

struct pair {
    struct str key, value;
};

/* Times are milliseconds since 1970, as on the wire. */
struct instance {
    struct str id, host, app, group, ip, home_url, status_url, health_url, secure_health_url, vip,
        secure_vip, asg, data_center_class, data_center;
    struct list data_center_metadata, metadata; /* of struct pair */
    int64_t port, secure_port, country;
    bool port_on, secure_port_on, coordinating;
    int64_t renew_s, duration_s, registered_ms, renewed_ms, evicted_ms, up_ms;
    int64_t updated_ms, dirty_ms;
    enum instance_status status, overridden;
    enum instance_action action;
};

/*
 * The same as it stands in a document: numbers come as numbers or as strings, so that the scalars
 * are raw. For tables that hold instances; instance_read makes a struct instance of it.
 */
struct wire_port {
    struct str number, enabled;
};
struct wire_lease {
    struct str renew_s, duration_s, registered, renewed, evicted, up;
};
struct wire_data_center {
    struct str type, name, metadata;
};
struct wire_instance {
    struct str id, host, app, group, ip, home_url, status_url, health_url, secure_health_url, vip,
        secure_vip, asg, status, overridden, overridden_old, country, coordinating, updated, dirty,
        action, metadata;
    struct wire_port port, secure_port;
    struct wire_lease lease;
    struct wire_data_center *data_center;
};
extern const struct field wire_instance_fields[];

/*
 * ERR_INVALID: something is missing or wrong, cx->story.public_detail says what ("Missing
 * hostname"). Strings are borrowed from the document or made in the arena.
 */
enum err instance_read(struct ctx *cx, const struct wire_instance *w,
                       struct instance *ret) MUST_USE;
/* The document {"instance":{...}}. ERR_MALFORMED: it cannot be read, public_detail says why. */
enum err instance_decode(struct ctx *cx, struct str json, struct instance *ret) MUST_USE;
/* Everything it points to is copied to the arena. */
void instance_copy(struct arena *a, const struct instance *from, struct instance *ret);
/* ASCII letters only, as names of applications are. */
struct str upper_case(struct arena *a, struct str s);
bool status_parse(struct str s, enum instance_status *ret);
