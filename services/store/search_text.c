/* search_text.c -- what a store is found by: its name without spaces, and its initial consonants.
 */
#include "store/store.h"

/* The 19 initial consonants as typed on a keyboard (Hangul compatibility jamo). */
static const char *const initials[19] = {"ㄱ", "ㄲ", "ㄴ", "ㄷ", "ㄸ", "ㄹ", "ㅁ", "ㅂ", "ㅃ", "ㅅ",
                                         "ㅆ", "ㅇ", "ㅈ", "ㅉ", "ㅊ", "ㅋ", "ㅌ", "ㅍ", "ㅎ"};

/* What a keyboard makes of two consonants typed in a row, because a syllable may end in both. */
static const char *const joined[][2] = {
    {"ㄳ", "ㄱㅅ"}, {"ㄵ", "ㄴㅈ"}, {"ㄶ", "ㄴㅎ"}, {"ㄺ", "ㄹㄱ"}, {"ㄻ", "ㄹㅁ"}, {"ㄼ", "ㄹㅂ"},
    {"ㄽ", "ㄹㅅ"}, {"ㄾ", "ㄹㅌ"}, {"ㄿ", "ㄹㅍ"}, {"ㅀ", "ㄹㅎ"}, {"ㅄ", "ㅂㅅ"}};

#define TEXT_MAX 2000

/* A Hangul syllable (U+AC00..U+D7A3, three bytes) at s[i]; its code point, or 0. */
static unsigned syllable(struct str s, size_t i)
{
    const unsigned char *p = (const unsigned char *)s.p + i;

    if (i + 3 > s.n || (p[0] & 0xf0) != 0xe0)
        return 0;
    unsigned c = (p[0] & 0x0fu) << 12 | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu);
    return c >= 0xac00 && c <= 0xd7a3 ? c : 0;
}

/* The two consonants of the joined one at s[i], or STR_NONE. */
static struct str apart(struct str s, size_t i)
{
    struct str rest = {s.p + i, s.n - i};

    for (size_t k = 0; k < COUNT_OF(joined); k++)
        if (str_starts(rest, str_from(joined[k][0])))
            return str_from(joined[k][1]);
    return STR_NONE;
}

static void add_folded(struct buf *b, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == ' ' || c == '\t' || c == '\n')
            continue;
        struct str two = apart(s, i);
        if (two.p) {
            buf_str_add(b, two);
            i += 2; /* behind the three bytes of the joined one */
            continue;
        }
        buf_char(b, c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c);
    }
}

struct str search_text(struct ctx *cx, struct str name)
{
    struct buf b;

    buf_init_arena(&b, cx->arena, TEXT_MAX);
    add_folded(&b, name);
    buf_char(&b, ' ');
    for (size_t i = 0; i < name.n; i++) {
        unsigned c = syllable(name, i);
        if (c)
            buf_str_add(&b, str_from(initials[(c - 0xac00) / 588]));
    }
    return buf_str(&b);
}

struct str search_pattern(struct ctx *cx, struct str query)
{
    struct buf folded, b;

    buf_init_arena(&folded, cx->arena, TEXT_MAX);
    add_folded(&folded, query);
    struct str s = buf_str(&folded);
    buf_init_arena(&b, cx->arena, TEXT_MAX);
    buf_char(&b, '%');
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '%' || s.p[i] == '_' || s.p[i] == '\\')
            buf_char(&b, '\\');
        buf_char(&b, s.p[i]);
    }
    buf_char(&b, '%');
    return buf_str(&b);
}
