/* write.h -- instances and lists of them on the wire: one description, two forms. */
#pragma once

#include "base/buf.h"
#include "discovery/instance.h"

enum wire_form { FORM_JSON, FORM_XML };

struct writer {
    struct buf *b;
    enum wire_form form;
    bool compact; /* what a client needs to call an instance, nothing else */
    bool first;   /* nothing stands before it in this object; the writer's own */
};

/* The documents. Lists hold struct instance *, sorted by application where there may be several. */
void write_instance(struct writer *w, const struct instance *is);
/* JSON only: the instance's object alone, where another document names it. */
void write_instance_bare(struct writer *w, const struct instance *is);
void write_application(struct writer *w, struct str name, struct list instances);
/* version: the text of versions__delta. */
void write_applications(struct writer *w, struct str version, struct str hash,
                        struct list instances);
/* {"error": ..., "detail": ...}; without detail, only the error. */
void write_error(struct writer *w, struct str error, struct str detail);

/* Pieces for other documents. */
void write_open(struct writer *w, const char *name);
void write_close(struct writer *w, const char *name);
void write_text(struct writer *w, const char *name, struct str value); /* absent: left out */
void write_number(struct writer *w, const char *name, int64_t value);
