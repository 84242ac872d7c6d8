/* xml_fuzz.c -- any bytes as a registration in XML: what is taken is JSON, and an instance that is
 * taken can be written in both forms and read again. */
#include "data/json.h"
#include "discovery/write.h"
#include "discovery/xml.h"

static struct str written(struct ctx *cx, const struct instance *is, enum wire_form form)
{
    struct buf *b = ARENA_NEW(cx->arena, struct buf);
    struct writer w = {.b = b, .form = form};

    buf_init_arena(b, cx->arena, 4u << 20);
    write_instance(&w, is);
    assert(!b->overflow);
    return buf_str(b);
}

static void check_instance(struct ctx *cx, const struct instance *is)
{
    struct instance again;
    struct str json = written(cx, is, FORM_JSON), xml = written(cx, is, FORM_XML), meant;

    assert(json_is_valid(json));
    assert(instance_decode(cx, json, &again) == ERR_OK);
    assert(str_eq(written(cx, &again, FORM_JSON), json));
    assert(xml_to_json(cx, xml, &meant) == ERR_OK);
    assert(instance_decode(cx, meant, &again) == ERR_OK);
    assert(str_eq(again.id, is->id) && str_eq(again.app, is->app));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct str text = {(const char *)bytes, n}, json;
    struct arena arena;
    struct rng rng;
    struct instance is;

    arena_init(&arena, 256u << 20);
    rng_seed(&rng, 1);
    struct ctx cx = {.arena = &arena, .clock = &clock_system, .rng = &rng};
    if (xml_to_json(&cx, text, &json) == ERR_OK) {
        assert(json_is_valid(json));
        if (instance_decode(&cx, json, &is) == ERR_OK)
            check_instance(&cx, &is);
    }
    cx.story = (struct story){0};
    if (instance_decode(&cx, text, &is) == ERR_OK)
        check_instance(&cx, &is);
    arena_release(&arena);
    return 0;
}
