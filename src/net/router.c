/* router.c -- a trie of path segments: literals by binary search, one parameter child a node. */
#include "net/router.h"

struct node {
    struct str segment;     /* literal; none for a parameter */
    struct node **children; /* sorted by segment */
    size_t n_children;
    struct node *parameter;
    const void *routes[HTTP_METHODS];
    int owners[HTTP_METHODS];
    unsigned methods;
};

struct router {
    struct node root;
};

struct router *router_open(void)
{
    return calloc(1, sizeof(struct router));
}

static void node_release(struct node *n)
{
    for (size_t i = 0; i < n->n_children; i++) {
        node_release(n->children[i]);
        free(n->children[i]);
    }
    if (n->parameter)
        node_release(n->parameter);
    free(n->parameter);
    free(n->children);
}

void router_close(struct router *r)
{
    node_release(&r->root);
    free(r);
}

/* Where the segment is, or where it would go. */
static size_t child_at(const struct node *n, struct str segment, bool *ret_found)
{
    size_t low = 0, high = n->n_children;

    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = str_cmp(n->children[middle]->segment, segment);
        if (order == 0) {
            *ret_found = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *ret_found = false;
    return low;
}

static struct node *new_node(struct str segment)
{
    struct node *n = calloc(1, sizeof *n);

    if (!n)
        abort(); /* at start only */
    n->segment = segment;
    return n;
}

static struct node *child_make(struct node *n, struct str segment)
{
    bool found;
    size_t at = child_at(n, segment, &found);

    if (found)
        return n->children[at];
    struct node **grown = realloc(n->children, (n->n_children + 1) * sizeof(struct node *));
    if (!grown)
        abort();
    n->children = grown;
    memmove(grown + at + 1, grown + at, (n->n_children - at) * sizeof(struct node *));
    n->n_children++;
    return grown[at] = new_node(segment);
}

enum err router_add(struct router *r, enum http_method m, const char *pattern, const void *route,
                    int owner)
{
    struct node *n = &r->root;
    struct str rest = str_from(pattern + 1), segment;

    assert(pattern[0] == '/');
    for (bool more = true; more;) {
        more = str_cut(rest, '/', &segment, &rest);
        if (segment.n && segment.p[0] == '{') {
            if (!n->parameter)
                n->parameter = new_node(STR_NONE);
            n = n->parameter;
        } else
            n = child_make(n, segment);
    }
    if (n->routes[m])
        return ERR_DUPLICATE;
    n->routes[m] = route;
    n->owners[m] = owner;
    n->methods |= 1u << m;
    return ERR_OK;
}

static bool is_plain(struct str s)
{
    return s.n > 0 && !str_eq(s, STR(".")) && !str_eq(s, STR(".."));
}

/* Literals first, the parameter when that branch ends nowhere; depth is bounded by the patterns. */
static const struct node *walk(const struct node *n, struct str rest, bool more,
                               struct route_match *m)
{
    struct str segment;
    bool found;

    if (!more)
        return n->methods ? n : NULL;
    more = str_cut(rest, '/', &segment, &rest);
    if (!is_plain(segment))
        return NULL;
    size_t at = child_at(n, segment, &found);
    const struct node *end = found ? walk(n->children[at], rest, more, m) : NULL;
    if (end || !n->parameter || m->n_params == ROUTE_PARAMS_MAX)
        return end;
    m->params[m->n_params++] = segment;
    end = walk(n->parameter, rest, more, m);
    if (!end)
        m->n_params--;
    return end;
}

void router_find(const struct router *r, enum http_method method, struct str path,
                 struct route_match *ret)
{
    memset(ret, 0, sizeof *ret);
    if (path.n == 0 || path.p[0] != '/')
        return;
    const struct node *n = walk(&r->root, (struct str){path.p + 1, path.n - 1}, true, ret);
    if (!n)
        return;
    if (method == HTTP_HEAD && !n->routes[HTTP_HEAD])
        method = HTTP_GET;
    ret->methods = n->methods;
    ret->route = n->routes[method];
    ret->owner = n->owners[method];
}
