/* functions/time_pattern.h - dates and times as text by a pattern, in the letters of Java's DateTimeFormatter.
 * English names, any case when read; weeks and N are for writing only. What a text leaves out is that of 1970-01-01T00:00. Private to functions/. */
#ifndef WEIR_FUNCTIONS_TIME_PATTERN_H
#define WEIR_FUNCTIONS_TIME_PATTERN_H

#include "core/arena.h"
#include "functions/zone.h"

typedef struct time_pattern time_pattern;

#define PATTERN_DATE 1 /* letters of a date are welcome */
#define PATTERN_TIME 2
#define PATTERN_ZONE 4
#define PATTERN_READ 8 /* texts are read by it */

/* NULL: *reason says what is wrong. The pattern lives in the arena; several threads may use it. */
const time_pattern *time_pattern_compile(arena *a, slice pattern, uint32_t allowed, const char **reason);

/* What in a pattern means something and hardly what was meant, in words; absent: nothing. */
slice time_pattern_doubt(arena *a, slice pattern);

/* The moment as the zone's clocks show it. */
slice time_pattern_format(const time_pattern *p, arena *a, int64_t utc_ms, zone *z);
/* False: the text does not follow the pattern. The zone counts where the text names none; NULL: what the clock shows is
 * wanted, whatever zone the text names. is_lenient: as Java's
 * SimpleDateFormat reads: what the text begins with counts, numbers have as many digits as stand there, and what passes the
 * end of its month, year or day runs over into the next. */
bool time_pattern_parse(const time_pattern *p, slice from, bool is_lenient, zone *z, int64_t *utc_ms);

#endif
