/* parser/keywords.c - the words of the language, in order, and which of them may be names. */
#include "grammar.h"
#include "parser/parse.h"

#include <assert.h>

#define RESERVED(word) { #word, TK_##word, KEYWORD_RESERVED }
#define WORD(word) { #word, TK_##word, KEYWORD_WORD }

static const keyword KEYWORDS[] = {
    WORD(ADD),          RESERVED(ADVANCE),     RESERVED(ALL),       WORD(ALTER),        WORD(ANALYZE),
    RESERVED(AND),      WORD(ARRAY),           RESERVED(AS),        WORD(ASC),          WORD(ASSERT),
    RESERVED(AT),       RESERVED(BEGINNING),   RESERVED(BETWEEN),   RESERVED(BY),       RESERVED(CASE),
    RESERVED(CAST),     WORD(CHANGES),         WORD(COLUMN),        RESERVED(CONNECTOR), RESERVED(CONNECTORS),
    RESERVED(CREATE),   WORD(DAY),             RESERVED(DAYS),      WORD(DEFINE),       RESERVED(DELETE),
    WORD(DESC),         RESERVED(DESCRIBE),    RESERVED(DISTINCT),  RESERVED(DROP),     RESERVED(ELSE),
    WORD(EMIT),         RESERVED(END),         WORD(ESCAPE),        RESERVED(EXISTS),   WORD(EXPLAIN),
    RESERVED(EXTENDED), RESERVED(FALSE),       WORD(FINAL),         WORD(FIRST),        RESERVED(FROM),
    RESERVED(FULL),     WORD(FUNCTION),        WORD(FUNCTIONS),     WORD(GRACE),        RESERVED(GROUP),
    RESERVED(HAVING),   WORD(HEADER),          WORD(HEADERS),       RESERVED(HOPPING),  WORD(HOUR),
    RESERVED(HOURS),    { "ID", TK_ID_WORD, KEYWORD_WORD },         WORD(IF),           RESERVED(IN),
    RESERVED(INNER),    RESERVED(INSERT),      WORD(INTERVAL),      RESERVED(INTO),     RESERVED(IS),
    RESERVED(JOIN),     WORD(KEY),             WORD(LAST),          RESERVED(LEFT),     RESERVED(LIKE),
    RESERVED(LIMIT),    RESERVED(LIST),        WORD(MAP),           RESERVED(MILLISECOND), RESERVED(MILLISECONDS),
    WORD(MINUTE),       RESERVED(MINUTES),     RESERVED(NOT),       RESERVED(NULL),     WORD(NULLS),
    RESERVED(ON),       RESERVED(OR),          WORD(ORDER),         RESERVED(OUTER),    WORD(OVER),
    WORD(PARTITION),    WORD(PAUSE),           WORD(PERIOD),        WORD(PLUGINS),      WORD(PRIMARY),
    RESERVED(PRINT),    RESERVED(PROPERTIES),  RESERVED(QUERIES),   WORD(REPLACE),      WORD(RESUME),
    RESERVED(RETENTION), RESERVED(RIGHT),      RESERVED(RUN),       RESERVED(SAMPLE),   WORD(SCHEMA),
    RESERVED(SCRIPT),   WORD(SECOND),          RESERVED(SECONDS),   RESERVED(SELECT),   WORD(SESSION),
    WORD(SET),          WORD(SHOW),            WORD(SINK),          RESERVED(SIZE),     WORD(SOURCE),
    RESERVED(STREAM),   RESERVED(STREAMS),     WORD(STRUCT),        WORD(SUBJECT),      WORD(SYSTEM),
    RESERVED(TABLE),    WORD(TABLES),          RESERVED(TERMINATE), RESERVED(THEN),     WORD(TIME),
    WORD(TIMEOUT),      RESERVED(TOPIC),       RESERVED(TOPICS),    RESERVED(TRUE),     RESERVED(TUMBLING),
    WORD(TYPE),         WORD(TYPES),           WORD(UNDEFINE),      WORD(UNION),        RESERVED(UNSET),
    RESERVED(VALUES),   WORD(VARIABLES),       RESERVED(WHEN),      RESERVED(WHERE),    RESERVED(WINDOW),
    RESERVED(WITH),     RESERVED(WITHIN),      WORD(ZONE),
};

#define KEYWORD_COUNT (sizeof KEYWORDS / sizeof KEYWORDS[0])

const keyword *keyword_find(slice word)
{
    size_t low = 0;
    size_t high = KEYWORD_COUNT;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const keyword *k = &KEYWORDS[middle];
        size_t length = strlen(k->word);
        int order = strncasecmp(word.data, k->word, word.len < length ? word.len : length);

        assert(middle == 0 || strcmp(KEYWORDS[middle - 1].word, k->word) < 0);
        if (order == 0) order = (word.len > length) - (word.len < length);
        if (order == 0) return k;
        if (order < 0) high = middle;
        else low = middle + 1;
    }
    return NULL;
}

const keyword *keyword_of_token(int kind)
{
    for (size_t i = 0; i < KEYWORD_COUNT; i++)
        if (KEYWORDS[i].token == kind) return &KEYWORDS[i];
    return NULL;
}

uint32_t keyword_count(void) { return KEYWORD_COUNT; }

const keyword *keyword_at(uint32_t index)
{
    assert(index < KEYWORD_COUNT);
    return &KEYWORDS[index];
}

const char *parser_keyword(uint32_t index) { return index < KEYWORD_COUNT ? KEYWORDS[index].word : NULL; }
