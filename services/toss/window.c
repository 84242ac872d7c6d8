/* window.c -- the page that stands in for the Toss window, and the script that opens it. */
#include "toss/toss.h"

struct window {
    struct str order_id, order_name, success_url, fail_url;
    int64_t amount;
};
const struct field window_query_fields[] = {
    F_STR(struct window, order_id, "orderId", REQUIRED | ONE_LINE, 6, 64, "the shop's order"),
    F_STR(struct window, order_name, "orderName", REQUIRED | ONE_LINE, 1, 100, "what is paid for"),
    F_INT(struct window, amount, "amount", REQUIRED, 1, 1000000000, "won"),
    F_STR(struct window, success_url, "successUrl", REQUIRED | ONE_LINE, 1, 300,
          "where to go after paying"),
    F_STR(struct window, fail_url, "failUrl", REQUIRED | ONE_LINE, 1, 300, "where to go otherwise"),
    F_END(struct window),
};

/* clang-format off */
static const char page_top[] =
    "<!doctype html><html lang=\"ko\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">"
    "<title>결제 (모의)</title><style>body{font:16px/1.5 system-ui,sans-serif;max-width:26rem;margin:3rem auto;padding:0 1rem;color:#191f28}"
    "h1{font-size:1.2rem}p.sum{font-size:2rem;font-weight:700;margin:.2rem 0 1.5rem}button{display:block;width:100%;"
    "padding:.9rem;margin:.5rem 0;border:0;border-radius:.6rem;font:inherit;cursor:pointer;background:#e5e8eb}"
    "button.pay{background:#3182f6;color:#fff;font-weight:700}small{color:#6b7684}</style>";
static const char page_end[] =
    "<small>모의 결제창입니다. 실제로 결제되지 않습니다. This is a simulator; no money moves.</small><script>"
    "const d=document.body.dataset,go=(u,q)=>location.replace(u+(u.includes('?')?'&':'?')+new URLSearchParams(q));"
    "document.querySelectorAll('button').forEach(b=>b.onclick=async()=>{const o=b.value;"
    "if(o==='cancel')return go(d.fail,{code:'PAY_PROCESS_CANCELED',message:'사용자가 결제를 취소하였습니다',orderId:d.order});"
    "const r=await fetch('/simulator/authorize',{method:'POST',headers:{'Content-Type':'application/json'},"
    "body:JSON.stringify({orderId:d.order,amount:+d.amount,outcome:o})});const p=await r.json();"
    "if(!r.ok)return go(d.fail,{code:p.code,message:p.title||p.message,orderId:d.order});"
    "go(d.success,{paymentKey:p.paymentKey,orderId:d.order,amount:d.amount})})</script>";
static const char script[] =
    "/* Stands in for Toss Payments' script: the same call, the simulator's window. */\n"
    "window.TossPayments=()=>({payment:()=>({requestPayment:o=>{const base=new URL(document.currentScript?.src||"
    "document.querySelector('script[src$=\"/window.js\"]').src).origin;location.assign(base+'/window?'+new URLSearchParams({"
    "orderId:o.orderId,orderName:o.orderName,amount:o.amount.value??o.amount,successUrl:o.successUrl,failUrl:o.failUrl}))}})});\n";
/* clang-format on */

/* Text that may stand in an element or a quoted attribute. */
static void add_text(struct buf *b, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        switch (s.p[i]) {
        case '&':
            buf_lit(b, "&amp;");
            break;
        case '<':
            buf_lit(b, "&lt;");
            break;
        case '>':
            buf_lit(b, "&gt;");
            break;
        case '"':
            buf_lit(b, "&quot;");
            break;
        default:
            buf_char(b, s.p[i]);
        }
    }
}

/* Only to web pages: a javascript: URL here would run on our origin. */
static bool is_web(struct str url)
{
    return str_starts(url, STR("http://")) || str_starts(url, STR("https://"));
}

static void add_data(struct buf *b, const char *name, struct str value)
{
    buf_printf(b, " data-%s=\"", name);
    add_text(b, value);
    buf_char(b, '"');
}

enum err toss_window(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    const struct window *w = rq->query;
    struct buf b;

    if (!is_web(w->success_url) || !is_web(w->fail_url)) {
        ctx_field_error(cx, is_web(w->success_url) ? STR("failUrl") : STR("successUrl"),
                        STR("FORMAT"), "begins with http:// or https://");
        return fail(cx, ERR_INVALID, "return address that is no web page");
    }
    buf_init_arena(&b, cx->arena, 64 * 1024);
    buf_add(&b, page_top, sizeof page_top - 1);
    buf_lit(&b, "<body");
    add_data(&b, "order", w->order_id);
    add_data(&b, "amount", arena_printf(cx->arena, "%" PRId64, w->amount));
    add_data(&b, "success", w->success_url);
    add_data(&b, "fail", w->fail_url);
    buf_lit(&b, "><h1>");
    add_text(&b, w->order_name);
    buf_printf(&b, "</h1><p class=\"sum\">%" PRId64 "원</p>", w->amount);
    buf_lit(&b, "<button class=\"pay\" value=\"approve\">결제하기</button><button "
                "value=\"decline\">한도 초과로 거절</button>"
                "<button value=\"timeout_after\">결제는 되고 응답은 잃어버리기</button>"
                "<button value=\"timeout_before\">응답 없음</button><button "
                "value=\"cancel\">그만두기</button>");
    buf_add(&b, page_end, sizeof page_end - 1);
    return reply_bytes(cx, rp, 200, STR("text/html; charset=utf-8"), buf_str(&b));
}

enum err toss_script(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    (void)rq;
    return reply_bytes(cx, rp, 200, STR("text/javascript; charset=utf-8"),
                       (struct str){script, sizeof script - 1});
}
