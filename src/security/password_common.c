/* password_common.c -- recognises passwords that every guessing list begins with. */
#include "security/password.h"

/*
 * Words around which people put digits and marks. A password is common when nothing else is left of
 * it: "Password123!", "p@ssw0rd2024", "qwerty!!1234". Korean words as typed with the keyboard left
 * in English (dkssudgktpdy = 안녕하세요) are as well known to guessers as the English ones.
 */
static const char *const words[] = {
    "password",
    "passwd",
    "passwort",
    "passpass",
    "pass",
    "motdepasse",
    "contrasena",
    "parola",
    "secret",
    "secretpassword",
    "mypassword",
    "mysecret",
    "newpassword",
    "changeme",
    "changemenow",
    "letmein",
    "letmeinnow",
    "welcome",
    "welcomehome",
    "default",
    "defaultpassword",
    "administrator",
    "admin",
    "adminadmin",
    "root",
    "rootroot",
    "toor",
    "guest",
    "guestguest",
    "user",
    "useruser",
    "test",
    "testtest",
    "testing",
    "testpassword",
    "tester",
    "demo",
    "demodemo",
    "master",
    "masterkey",
    "login",
    "access",
    "superman",
    "batman",
    "spiderman",
    "ironman",
    "starwars",
    "pokemon",
    "pikachu",
    "naruto",
    "minecraft",
    "fortnite",
    "football",
    "baseball",
    "basketball",
    "hockey",
    "soccer",
    "liverpool",
    "chelsea",
    "arsenal",
    "barcelona",
    "manchester",
    "realmadrid",
    "iloveyou",
    "iloveyousomuch",
    "iloveu",
    "loveyou",
    "loveme",
    "lovelove",
    "love",
    "princess",
    "sunshine",
    "sunflower",
    "butterfly",
    "rainbow",
    "flower",
    "summer",
    "winter",
    "spring",
    "autumn",
    "monday",
    "friday",
    "january",
    "february",
    "september",
    "october",
    "november",
    "december",
    "dragon",
    "monkey",
    "tigger",
    "tiger",
    "shadow",
    "michael",
    "jordan",
    "michelle",
    "jennifer",
    "jessica",
    "ashley",
    "daniel",
    "thomas",
    "charlie",
    "nicole",
    "hannah",
    "matthew",
    "andrew",
    "joshua",
    "robert",
    "computer",
    "internet",
    "samsung",
    "samsunggalaxy",
    "galaxy",
    "google",
    "facebook",
    "instagram",
    "youtube",
    "apple",
    "microsoft",
    "windows",
    "android",
    "trustno",
    "whatever",
    "nothing",
    "freedom",
    "forever",
    "friends",
    "friendship",
    "family",
    "mother",
    "father",
    "baby",
    "babygirl",
    "angel",
    "chocolate",
    "cookie",
    "cheese",
    "pepper",
    "ginger",
    "buster",
    "hunter",
    "ranger",
    "killer",
    "soldier",
    "mustang",
    "ferrari",
    "porsche",
    "mercedes",
    "harley",
    "corvette",
    "blink",
    "metallica",
    "slipknot",
    "nirvana",
    "eminem",
    "bangtan",
    "blackpink",
    "seoul",
    "korea",
    "korean",
    "southkorea",
    "hanguk",
    "daehanminguk",
    "corea",
    "busan",
    "kimchi",
    "bulgogi",
    "chicken",
    "jumun",
    "order",
    "delivery",
    "baedal",
    "food",
    "pizza",
    "hello",
    "helloworld",
    "hellohello",
    "hihello",
    "hacker",
    "nopassword",
    "qwer",
    "qwert",
    "qwerty",
    "qwertyqwerty",
    "qwertyuiop",
    "asdf",
    "asdfasdf",
    "asdfgh",
    "asdfghjkl",
    "zxcv",
    "zxcvbn",
    "zxcvbnm",
    "qwerasdf",
    "qwerasdfzxcv",
    "qazwsx",
    "qazwsxedc",
    "qweasd",
    "qweasdzxc",
    "abcd",
    "abcde",
    "abcdef",
    "abcdefg",
    "abcdefgh",
    "abc",
    "xyz",
    "aaa",
    "company",
    "mypass",
    "opensesame",
    "sesame",
    "dkssudgktpdy",
    "dkssud",
    "tkfkdgo",
    "tkfkdgody",
    "tkfkd",
    "qlalfqjsgh",
    "qlqjs",
    "gksrnr",
    "eogksalsrnr",
    "rkskekfk",
    "dlfkfk",
    "wlqrkrhtlvek",
    "rladuswl",
    "rlaalswl",
    "clzls",
    "anjgo",
    "gkskel",
    "djaak",
};

/* Rows along which fingers walk; every run of six or more of them, either way, is a walk. */
static const char *const rows[] = {
    "01234567890",
    "abcdefghijklmnopqrstuvwxyz",
    "qwertyuiop[]",
    "asdfghjkl;'",
    "zxcvbnm,./",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik,9ol.0p;/",
    "qazwsxedcrfvtgbyhnujmikolp",
    "1q2w3e4r5t6y7u8i9o0p",
    "q1w2e3r4t5y6u7i8o9p0",
    "!@#$%^&*()",
    "1a2b3c4d5e6f7g8h9i0j",
    "a1b2c3d4e5f6g7h8i9j0",
    "a1s2d3f4g5h6j7k8l9",
    "zaq12wsxcde34rfvbgt56yhnmju78ik",
};

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool holds_nocase(struct str s, struct str part)
{
    for (size_t at = 0; part.n > 0 && at + part.n <= s.n; at++)
        if (str_eq_nocase((struct str){s.p + at, part.n}, part))
            return true;
    return false;
}

/* Length of the longest piece of s[at..] that lies on one row, forwards or backwards. */
static size_t walk_at(struct str s, size_t at)
{
    size_t longest = 1;

    for (size_t r = 0; r < COUNT_OF(rows); r++) {
        size_t length = strlen(rows[r]);
        for (size_t start = 0; start < length; start++) {
            size_t up = 0, down = 0;
            while (at + up < s.n && start + up < length && s.p[at + up] == rows[r][start + up])
                up++;
            while (at + down < s.n && down <= start && s.p[at + down] == rows[r][start - down])
                down++;
            size_t best = up > down ? up : down;
            longest = best > longest ? best : longest;
        }
    }
    return longest;
}

/* A walk, or walks and single marks, from end to end: fewer than five "free" characters remain. */
static bool is_walk(struct str s)
{
    size_t free = 0;

    for (size_t at = 0; at < s.n;) {
        size_t n = walk_at(s, at);
        if (n < 4) {
            n = 1;
            free++;
        }
        at += n;
    }
    return free < 4 && free < s.n / 2;
}

/* "abababababab": the whole is one unit of at most a third of it, again and again. */
static bool is_repetition(struct str s)
{
    bool seen[256] = {false};
    int distinct = 0;

    for (size_t i = 0; i < s.n; i++)
        if (!seen[(unsigned char)s.p[i]]) {
            seen[(unsigned char)s.p[i]] = true;
            distinct++;
        }
    if (distinct <= 3)
        return true;
    for (size_t unit = 1; unit <= s.n / 3 || (unit <= s.n / 2 && unit <= 6); unit++) {
        size_t i = unit;
        while (i < s.n && s.p[i] == s.p[i - unit])
            i++;
        if (i == s.n)
            return true;
    }
    return false;
}

static char unleet(char c)
{
    static const char from[] = "013457@$!+8", to[] = "oieastasitb";
    const char *at = c != '\0' ? strchr(from, c) : NULL;
    return at != NULL ? to[at - from] : c;
}

static bool is_word(struct str s)
{
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (str_eq(s, str_from(words[i])))
            return true;
    return false;
}

static bool is_letter(char c)
{
    return c >= 'a' && c <= 'z';
}

/* Is a well-known word all that is left without the marks and digits at both ends, or in between?
 */
static bool is_decorated_word(struct str s)
{
    char letters[PASSWORD_BYTES_MAX] = "", plain[PASSWORD_BYTES_MAX] = "";
    size_t from = 0, to = s.n, n = 0;

    for (size_t i = 0; i < s.n; i++) {
        if ((unsigned char)s.p[i] >= 0x80)
            return false;
        if (is_letter(s.p[i]))
            letters[n++] = s.p[i];
        plain[i] = unleet(s.p[i]);
    }
    if (n % 2 == 0 && memcmp(letters, letters + n / 2, n / 2) == 0)
        n /= 2; /* "password-password" */
    if (is_word((struct str){letters, n}))
        return true;
    /* With l33t the border between word and decoration is not clear: try every end. */
    while (from < to && !is_letter(plain[from]))
        from++;
    for (; to > from + 3; to--)
        for (size_t start = from; start < from + 4 && start + 3 < to; start++) {
            size_t i = to;
            while (i < s.n && !is_letter(s.p[i]))
                i++;
            if (i == s.n && is_word((struct str){plain + start, to - start}) &&
                (start == 0 || !is_letter(s.p[start - 1])))
                return true;
        }
    return false;
}

bool password_is_common(struct str password, struct str username)
{
    char text[PASSWORD_BYTES_MAX];
    struct str s = {text, password.n};

    if (password.n == 0 || password.n > sizeof(text))
        return password.n == 0;
    for (size_t i = 0; i < password.n; i++)
        text[i] = lower(password.p[i]);
    if (username.n >= 4 && holds_nocase(s, username))
        return true;
    return is_repetition(s) || is_walk(s) || is_decorated_word(s);
}
