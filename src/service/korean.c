/* korean.c -- what a problem says about a field or a body, in Korean: a row for each sentence that
 * is written in English where it arises. */
#include "service/korean.h"

#include "base/buf.h"

#define TEXT_MAX 2000
#define GAPS_MAX 3
#define JSON_SENTENCE "Not valid JSON at byte *: *."

/* A star stands for what the sentence is about; it keeps its place in the order of the stars. */
static const struct sentence {
    const char *english, *korean;
} sentences[] = {
    /* data/field.c, data/json_decode.c */
    {"is required", "필수 항목입니다"},
    {"must not be empty", "비워 둘 수 없습니다"},
    {"must be * to * characters long", "*자 이상 *자 이하여야 합니다"},
    {"must be at most * characters long", "*자 이하여야 합니다"},
    {"holds control characters", "제어 문자가 들어 있습니다"},
    {"may hold only a-z, 0-9 and _", "영문 소문자, 숫자, _만 쓸 수 있습니다"},
    {"is not an e-mail address", "이메일 주소 형식이 아닙니다"},
    {"is not a Korean phone number", "전화번호 형식이 아닙니다"},
    {"is not a postal code of five digits", "우편번호는 숫자 5자리입니다"},
    {"expected true or false", "true 또는 false여야 합니다"},
    {"expected a number", "숫자여야 합니다"},
    {"expected a whole number", "정수여야 합니다"},
    {"expected a plain decimal number", "지수 없이 적은 숫자여야 합니다"},
    {"expected a number from * to *", "* 이상 * 이하의 숫자여야 합니다"},
    {"is out of range", "허용 범위를 벗어났습니다"},
    {"expected a string", "문자열이어야 합니다"},
    {"expected an object", "객체여야 합니다"},
    {"expected an array", "배열이어야 합니다"},
    {"expected a UUID", "UUID여야 합니다"},
    {"expected an RFC 3339 time", "RFC 3339 형식의 시각이어야 합니다"},
    {"expected HH:MM", "HH:MM 형식이어야 합니다"},
    {"expected YYYY-MM-DD", "YYYY-MM-DD 형식이어야 합니다"},
    {"expected a day as YYYY-MM-DD", "YYYY-MM-DD 형식의 날짜여야 합니다"},
    {"expected a time of day as HH:MM", "HH:MM 형식의 시각이어야 합니다"},
    {"is not UTF-8", "UTF-8이 아닙니다"},
    {"expected at most a day before \"to\"", "to보다 앞선 하루 안의 시각이어야 합니다"},
    {"expected one of *", "다음 중 하나여야 합니다: *"},
    {"expected http://HOST[:PORT] with a port from 1 to 65535",
     "1~65535의 포트가 있는 http://HOST[:PORT]여야 합니다"},
    {"expected HOST:PORT with a port from 0 to 65535",
     "0~65535의 포트가 있는 HOST:PORT여야 합니다"},
    {"cannot be given as text", "글자로 적을 수 없는 값입니다"},
    {"is given twice", "두 번 적혀 있습니다"},
    {"must hold at most * items", "항목이 *개 이하여야 합니다"},
    {"must hold at least * items", "항목이 *개 이상이어야 합니다"},
    {"may not be null", "null일 수 없습니다"},
    {"is set by the server", "서버가 정하는 항목입니다"},
    {"is not a known field", "알 수 없는 항목입니다"},
    /* data/json_scan.c; the second star is one of the sentences behind it */
    {JSON_SENTENCE, "*번째 바이트에서 JSON 형식에 맞지 않습니다: *."},
    {"not a JSON value", "JSON 값이 아님"},
    {"nested too deeply", "너무 깊이 중첩됨"},
    {"an object was expected", "객체가 와야 함"},
    {"a value was expected", "값이 와야 함"},
    {"a string was expected", "문자열이 와야 함"},
    {"more bytes after the value", "값 뒤에 남는 글자가 있음"},
    {"a number with a leading zero", "0으로 시작하는 숫자"},
    {"a number without digits after its point", "소수점 뒤에 숫자가 없음"},
    {"a number without digits in its exponent", "지수에 숫자가 없음"},
    {"not UTF-8", "UTF-8이 아님"},
    {"a NUL character", "NUL 문자"},
    {"a \\u escape without four hex digits", "\\u 뒤에 16진수 네 자리가 없음"},
    {"a lone surrogate", "짝이 없는 서로게이트"},
    {"an unfinished string", "끝나지 않은 문자열"},
    {"an unknown escape", "알 수 없는 이스케이프"},
    {"a control character in a string", "문자열 안의 제어 문자"},
    {"':' was expected", "':'가 와야 함"},
    {"',' or ']' was expected", "','나 ']'가 와야 함"},
    {"',' or '}' was expected", "','나 '}'가 와야 함"},
    /* service */
    {"not validly percent-encoded", "퍼센트 인코딩이 올바르지 않습니다"},
    {"no such query parameter", "알 수 없는 조회 항목입니다"},
    {"given more than once", "두 번 이상 적혀 있습니다"},
    {"expected 1 to * printable ASCII characters", "1~*자의 ASCII 문자여야 합니다"},
    {"not a cursor that this list gave out", "이 목록이 알려 준 커서가 아닙니다"},
    {"is the number of a dead letter", "처리하지 못한 이벤트의 번호여야 합니다"},
    {"The token is not one of ours or has run out.", "토큰이 올바르지 않거나 만료되었습니다."},
    {"A JSON body is expected.", "JSON 본문이 필요합니다."},
    {"A body without Content-Encoding is expected.", "압축하지 않은 본문을 보내 주세요."},
    {"No body is expected here.", "본문 없이 요청해야 합니다."},
    {"Content-Type: application/json is expected.",
     "Content-Type은 application/json이어야 합니다."},
    {"Allow: *", "쓸 수 있는 메서드: *"},
    /* services */
    {"too easy to guess", "추측하기 쉬운 비밀번호입니다"},
    {"not a day somebody alive was born on", "생년월일을 확인해 주세요"},
    {"make another one the default instead", "다른 배송지를 기본 배송지로 지정해 주세요"},
    {"is not one of your addresses", "등록된 배송지가 아닙니다"},
    {"sold out: *", "품절: *"},
    {"too few chosen: *", "더 골라야 합니다: *"},
    {"too many chosen: *", "너무 많이 골랐습니다: *"},
    {"there twice in the menu: *", "메뉴에 두 번 있는 옵션입니다: *"},
    {"an option that is not of this item: *", "이 메뉴의 옵션이 아닙니다: *"},
    {"1 to * days up to `to`", "`to`까지 1일에서 *일이어야 합니다"},
    {"You have no such order.", "그런 주문이 없습니다."},
    {"That payment is for another order.", "다른 주문의 결제입니다."},
    {"has letters, digits, - and _ only", "영문자, 숫자, -, _만 쓸 수 있습니다"},
    {"is there twice", "두 번 적혀 있습니다"},
    {"must be before 24:00", "24:00보다 일러야 합니다"},
    {"must differ from opens; all day is 00:00 to 24:00",
     "opens와 달라야 합니다. 종일 영업은 00:00~24:00입니다"},
    {"needs both ends of the break", "휴게 시간은 시작과 끝을 함께 적어야 합니다"},
    {"the break must lie within the opening hours", "휴게 시간은 영업시간 안에 있어야 합니다"},
    {"is not a section of this store", "이 가게의 메뉴 분류가 아닙니다"},
    {"must name all of them", "빠짐없이 모두 적어야 합니다"},
    {"is more than max", "max보다 큽니다"},
    {"is more than there are options", "옵션 개수보다 큽니다"},
    {"is not an option of this group, or is there twice",
     "이 옵션 그룹의 옵션이 아니거나 두 번 적혀 있습니다"},
    {"give either delta or setTo", "delta와 setTo 중 하나만 적어 주세요"},
    {"at most * can be available", "재고는 *개를 넘을 수 없습니다"},
    {"There is a category of that code.", "이미 있는 분류 코드입니다."},
    {"* stores are of that category.", "이 분류의 가게가 *곳 있습니다."},
    {"is not one of /v1/categories", "/v1/categories에 없는 분류입니다"},
    {"is not LAT,LNG in degrees", "위도,경도 형식이 아닙니다"},
    {"by distance needs near", "거리순으로 보려면 near가 필요합니다"},
    {"begins with http:// or https://", "http:// 또는 https://로 시작해야 합니다"},
    {"a menu has at most * KiB of names and options",
     "메뉴의 이름과 옵션은 *KiB를 넘을 수 없습니다"},
};

/* Cuts text by the literals of a pattern; *ret_n gaps. False: it is another sentence. */
static bool match(const char *pattern, struct str text, struct str *gaps, size_t *ret_n)
{
    struct str rest = str_from(pattern), literal;
    bool more = str_cut(rest, '*', &literal, &rest);

    *ret_n = 0;
    if (!str_starts(text, literal))
        return false;
    text = (struct str){text.p + literal.n, text.n - literal.n};
    while (more) {
        more = str_cut(rest, '*', &literal, &rest);
        size_t at = literal.n == 0 ? text.n : more ? str_find(text, literal) : text.n - literal.n;
        if (at > text.n || *ret_n == GAPS_MAX ||
            !str_starts((struct str){text.p + at, text.n - at}, literal))
            return false;
        gaps[(*ret_n)++] = (struct str){text.p, at};
        text = (struct str){text.p + at + literal.n, text.n - at - literal.n};
    }
    return text.n == 0;
}

static void say(struct buf *b, const char *korean, const struct str *gaps)
{
    struct str rest = str_from(korean), literal;

    for (bool more = true; more;) {
        more = str_cut(rest, '*', &literal, &rest);
        buf_str_add(b, literal);
        if (more)
            buf_str_add(b, *gaps++);
    }
}

struct str korean_of(struct arena *a, struct str english)
{
    struct str gaps[GAPS_MAX];
    struct buf b;
    size_t n;

    for (size_t i = 0; i < COUNT_OF(sentences); i++) {
        if (!match(sentences[i].english, english, gaps, &n))
            continue;
        if (n == 0)
            return str_from(sentences[i].korean);
        if (strcmp(sentences[i].english, JSON_SENTENCE) == 0)
            gaps[1] = korean_of(a, gaps[1]);
        buf_init_arena(&b, a, TEXT_MAX);
        say(&b, sentences[i].korean, gaps);
        return b.overflow ? english : buf_str(&b);
    }
    return english;
}

/* Thousandths of a q parameter (RFC 9110, 12.4.2); 1000 without, 0 of what is none. */
static int quality(struct str parameters)
{
    struct str q = str_trim(parameters);
    int value = 0, digits = 0;

    if (q.n < 3 || !str_eq_nocase((struct str){q.p, 2}, STR("q=")))
        return 1000;
    if (q.p[2] == '1')
        return 1000;
    for (size_t i = 4; i < q.n && digits < 3 && q.p[i] >= '0' && q.p[i] <= '9'; i++, digits++)
        value = value * 10 + (q.p[i] - '0');
    for (; digits < 3; digits++)
        value *= 10;
    return q.p[2] == '0' ? value : 0;
}

bool korean_wanted(struct str languages)
{
    int korean = -1, english = 0, any = -1;
    struct str one, tag, parameters;

    if (!languages.p)
        return true;
    for (bool more = true; more;) {
        more = str_cut(languages, ',', &one, &languages);
        str_cut(one, ';', &tag, &parameters);
        tag = str_trim(tag);
        int q = quality(parameters);
        if (str_eq(tag, STR("*")))
            any = q;
        else if (tag.n >= 2 && str_eq_nocase((struct str){tag.p, 2}, STR("ko")))
            korean = q > korean ? q : korean;
        else if (tag.n >= 2 && str_eq_nocase((struct str){tag.p, 2}, STR("en")))
            english = q > english ? q : english;
    }
    korean = korean < 0 ? any : korean;
    return korean > 0 && korean >= english;
}
