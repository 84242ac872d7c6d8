/* keyboard.c -- Korean typed with the keyboard left in English: "clzls" is what the keys of 치킨
 * give. */
#include "store/store.h"

/*
 * The two-set layout (KS X 5002). A consonant before a vowel begins a syllable; consonants after it
 * belong to it until one is followed by a vowel itself. What makes no syllable stays a single
 * letter, so initial consonants work too.
 */
#define TEXT_MAX 2000

static const char consonant_keys[] = "rRseEfaqQtTdwWczxvg"; /* in the order of initial consonants */
static const unsigned consonants[] = {0x3131, 0x3132, 0x3134, 0x3137, 0x3138, 0x3139, 0x3141,
                                      0x3142, 0x3143, 0x3145, 0x3146, 0x3147, 0x3148, 0x3149,
                                      0x314a, 0x314b, 0x314c, 0x314d, 0x314e};
/* Place of each initial consonant among the finals; 0: never final. */
static const int finals[] = {1, 2, 4, 7, 0, 8, 16, 17, 0, 19, 20, 21, 22, 0, 23, 24, 25, 26, 27};
static const char vowel_keys[] = "koiOjpuPh???yn???bm?l"; /* in the order of vowels; ?: two keys */

struct pair {
    int first, second, both;
};
static const struct pair vowel_pairs[] = {{8, 0, 9},   {8, 1, 10},   {8, 20, 11}, {13, 4, 14},
                                          {13, 5, 15}, {13, 20, 16}, {18, 20, 19}};
static const struct pair final_pairs[] = {{1, 19, 3},  {4, 22, 5},  {4, 27, 6},  {8, 1, 9},
                                          {8, 16, 10}, {8, 17, 11}, {8, 19, 12}, {8, 25, 13},
                                          {8, 26, 14}, {8, 27, 15}, {17, 19, 18}};

static int both_of(const struct pair *pairs, size_t n, int first, int second)
{
    for (size_t i = 0; i < n; i++)
        if (pairs[i].first == first && pairs[i].second == second)
            return pairs[i].both;
    return -1;
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static int key_in(const char *keys, struct str s, size_t i)
{
    if (i >= s.n || !is_letter(s.p[i]))
        return -1;
    const char *at = strchr(keys, s.p[i]);
    if (!at && s.p[i] < 'a') /* Shift matters for a few keys only */
        at = strchr(keys, s.p[i] + ('a' - 'A'));
    return at ? (int)(at - keys) : -1;
}

static int consonant(struct str s, size_t i)
{
    return key_in(consonant_keys, s, i);
}

static int vowel(struct str s, size_t i)
{
    return key_in(vowel_keys, s, i);
}

static void add(struct buf *b, unsigned code)
{
    buf_char(b, (char)(0xe0 | code >> 12));
    buf_char(b, (char)(0x80 | (code >> 6 & 0x3f)));
    buf_char(b, (char)(0x80 | (code & 0x3f)));
}

/* The vowel at i, of one or two keys; *i goes behind it. */
static int take_vowel(struct str s, size_t *i)
{
    int v = vowel(s, (*i)++), next = vowel(s, *i);
    int both = next < 0 ? -1 : both_of(vowel_pairs, COUNT_OF(vowel_pairs), v, next);

    if (both < 0)
        return v;
    (*i)++;
    return both;
}

/* The final at i, 0 when the consonant there begins the next syllable; *i goes behind it. */
static int take_final(struct str s, size_t *i)
{
    int c = consonant(s, *i);

    if (c < 0 || finals[c] == 0 || vowel(s, *i + 1) >= 0)
        return 0;
    (*i)++;
    int next = consonant(s, *i);
    if (next < 0 || vowel(s, *i + 1) >= 0)
        return finals[c];
    int both = both_of(final_pairs, COUNT_OF(final_pairs), finals[c], finals[next]);
    if (both < 0)
        return finals[c];
    (*i)++;
    return both;
}

struct str keyboard_korean(struct ctx *cx, struct str s)
{
    struct buf b;
    bool any = false;

    buf_init_arena(&b, cx->arena, TEXT_MAX);
    for (size_t i = 0; i < s.n;) {
        int c = consonant(s, i);
        any |= is_letter(s.p[i]);
        if (c >= 0 && vowel(s, i + 1) >= 0) {
            i++;
            int v = take_vowel(s, &i);
            add(&b, 0xac00 + (unsigned)((c * 21 + v) * 28 + take_final(s, &i)));
        } else if (c >= 0) {
            add(&b, consonants[c]);
            i++;
        } else if (vowel(s, i) >= 0) {
            add(&b, 0x314f + (unsigned)take_vowel(s, &i));
        } else {
            buf_char(&b, s.p[i++]);
        }
    }
    return any && !b.overflow ? buf_str(&b) : STR_NONE;
}
