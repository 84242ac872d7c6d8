/*
 * xml.h -- the little XML that Eureka's clients send, turned into the JSON that means the same.
 *
 * Elements, attributes, text, comments and one XML declaration; the five named entities and numeric
 * references. Refused: DTDs, other entities, CDATA, processing instructions, another encoding than
 * UTF-8, text beside elements, depth over 8, more than 2000 elements.
 */
#pragma once

#include "base/buf.h"
#include "base/ctx.h"

#define XML_DEPTH_MAX 8
#define XML_ELEMENTS_MAX 2000

/*
 * <a><b x="1">2</b><c>3</c><d/></a> becomes {"a":{"b":{"@x":"1","$":"2"},"c":"3","d":""}}, the
 * convention of Eureka's own JSON. ERR_MALFORMED: public_detail says what is wrong and where.
 */
enum err xml_to_json(struct ctx *cx, struct str xml, struct str *ret_json) MUST_USE;
/* Text as the content of an element or attribute. */
void xml_text(struct buf *b, struct str s);
/* Whether it can be the name of an element. */
bool xml_is_name(struct str s);
