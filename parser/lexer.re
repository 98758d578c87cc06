/* parser/lexer.re - text to tokens, one at a time, by re2c. Words are looked up in keywords.c.
 * There is no >> token, so that ARRAY<ARRAY<INT>> closes; a duration (10s) is a token of its own. */
#include "grammar.h"
#include "parser/parse.h"

static int word_kind(slice word)
{
    const keyword *known = keyword_find(word);
    return known == NULL ? TK_NAME : known->token;
}

static void bad(token *out, const char *problem)
{
    out->kind = TOKEN_BAD;
    out->problem = problem;
}

void lexer_next(lexer *l, token *out)
{
    const char *YYMARKER;
    const char *begin;

    *out = (token){ 0 };
again:
    begin = l->cursor;
    /*!re2c
        re2c:define:YYCTYPE = "unsigned char";
        re2c:define:YYCURSOR = "l->cursor";
        re2c:define:YYLIMIT = "l->limit";
        re2c:yyfill:enable = 0;
        re2c:eof = 0;

        digits   = [0-9]+;
        exponent = [eE] [+-]? digits;
        word     = [a-zA-Z_] [a-zA-Z0-9_@]*;

        [ \t\r\n\f\v]+      { goto again; }
        "\xEF\xBB\xBF"      { goto again; }
        "--" [^\r\n]*       { goto again; }
        "/*" ([^*] | ("*"+ [^*/]))* "*"+ "/" { goto again; }
        "/*"                { l->cursor = l->limit; bad(out, "comment is not closed"); goto done; }

        word                { out->kind = word_kind((slice){ begin, (size_t)(l->cursor - begin) }); goto done; }
        digits              { out->kind = TK_INTEGER; goto done; }
        digits "." [0-9]*   { out->kind = TK_DECIMAL; goto done; }
        "." digits          { out->kind = TK_DECIMAL; goto done; }
        digits ("." [0-9]*)? exponent { out->kind = TK_DOUBLE; goto done; }
        "." digits exponent { out->kind = TK_DOUBLE; goto done; }
        digits ('ms' | 's' | 'm' | 'h' | 'd') { out->kind = TK_DURATION; goto done; }
        [0-9] [a-zA-Z0-9_@]+ { out->kind = TK_NAME; goto done; }

        ['] ([^'] | "''")* ['] { out->kind = TK_STRING; goto done; }
        ["] ([^"] | ["]["])* ["] { out->kind = TK_QUOTED_NAME; goto done; }
        [`] ([^`] | "``")* [`] { out->kind = TK_QUOTED_NAME; goto done; }
        ['] ([^'] | "''")*  { bad(out, "string is not closed"); goto unclosed; }
        ["] ([^"] | ["]["])* { bad(out, "quoted name is not closed"); goto unclosed; }
        [`] ([^`] | "``")*  { bad(out, "quoted name is not closed"); goto unclosed; }

        "="  { out->kind = TK_EQ; goto done; }
        "<>" { out->kind = TK_NE; goto done; }
        "!=" { out->kind = TK_NE; goto done; }
        "<"  { out->kind = TK_LT; goto done; }
        "<=" { out->kind = TK_LE; goto done; }
        ">"  { out->kind = TK_GT; goto done; }
        ">=" { out->kind = TK_GE; goto done; }
        "+"  { out->kind = TK_PLUS; goto done; }
        "-"  { out->kind = TK_MINUS; goto done; }
        "*"  { out->kind = TK_STAR; goto done; }
        "/"  { out->kind = TK_SLASH; goto done; }
        "%"  { out->kind = TK_PERCENT; goto done; }
        "||" { out->kind = TK_CONCAT; goto done; }
        ":=" { out->kind = TK_ASSIGN; goto done; }
        "->" { out->kind = TK_ARROW; goto done; }
        "=>" { out->kind = TK_FAT_ARROW; goto done; }
        "("  { out->kind = TK_LP; goto done; }
        ")"  { out->kind = TK_RP; goto done; }
        "["  { out->kind = TK_LB; goto done; }
        "]"  { out->kind = TK_RB; goto done; }
        ","  { out->kind = TK_COMMA; goto done; }
        "."  { out->kind = TK_DOT; goto done; }
        ";"  { out->kind = TK_SEMICOLON; goto done; }

        $    { out->kind = TOKEN_END; goto done; }
        [^]  { bad(out, "unexpected character"); goto done; }
        *    { bad(out, "text is not valid UTF-8"); goto done; }
    */
unclosed:
    if (l->cursor != l->limit) out->problem = "text is not valid UTF-8";
done:
    out->text = (slice){ begin, (size_t)(l->cursor - begin) };
}
