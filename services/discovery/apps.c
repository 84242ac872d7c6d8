/* apps.c -- reads lists of applications by tables. */
#include "discovery/apps.h"

#include "data/json.h"
#include "discovery/registry.h"

struct wire_app {
    struct str name;
    struct list instances;
};
struct wire_apps {
    struct str version, hash;
    struct list apps;
};
struct wire_document {
    struct wire_apps *applications;
};

/* clang-format off */
static const struct field wire_app_fields[] = {
    F_STR(struct wire_app, name, "name", 0, 0, 200, "application"),
    F_LIST(struct wire_app, instances, "instance", 0, 0, REGISTRY_INSTANCES_MAX, wire_instance_fields, "its instances"),
    F_END(struct wire_app),
};
static const struct field wire_apps_fields[] = {
    F_RAW(struct wire_apps, version, "versions__delta", 0, "of the change"),
    F_STR(struct wire_apps, hash, "apps__hashcode", 0, 0, 400, "count of instances by status"),
    F_LIST(struct wire_apps, apps, "application", 0, 0, REGISTRY_INSTANCES_MAX, wire_app_fields, "applications"),
    F_END(struct wire_apps),
};
static const struct field wire_document_fields[] = {
    F_OBJECT_PTR(struct wire_document, applications, "applications", REQUIRED, wire_apps_fields, "all"),
    F_END(struct wire_document),
};
/* clang-format on */

enum err apps_decode(struct ctx *cx, struct str json, struct apps *ret)
{
    struct wire_document d;
    size_t n = 0;

    TRY(json_decode_lenient(cx, wire_document_fields, &d, json));
    struct list apps = d.applications->apps;
    for (size_t i = 0; i < apps.n; i++)
        n += LIST_AT(struct wire_app, apps, i)->instances.n;
    struct instance *instances = arena_array(cx->arena, n + 1, sizeof *instances);
    *ret = (struct apps){.hash = d.applications->hash, .instances = {instances, 0}};
    for (size_t i = 0; i < apps.n; i++) {
        struct list l = LIST_AT(struct wire_app, apps, i)->instances;
        for (size_t k = 0; k < l.n; k++)
            if (instance_read(cx, LIST_AT(struct wire_instance, l, k),
                              &instances[ret->instances.n]) == ERR_OK)
                ret->instances.n++;
    }
    return ERR_OK;
}
