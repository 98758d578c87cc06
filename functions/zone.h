/* functions/zone.h - time zones, by ICU's rules: offsets of a moment, moments of a local time, names.
 * A zone is found by its text as Java takes it: "UTC", "Europe/London", "PST", "+02:00", "GMT+2"; and by
 * "PDT" and its like, which ksqlDB's manual names, though Java does not know them there. What ICU needs for a zone is kept
 * per thread, a handful of zones each, since its calendars belong to one thread. Private to functions/. */
#ifndef WEIR_FUNCTIONS_ZONE_H
#define WEIR_FUNCTIONS_ZONE_H

#include "core/slice.h"

typedef struct zone zone;

/* The zone whose clocks are said to show "PDT" or "CEST" (in any case), as Java reads such names; else the name itself. */
slice zone_abbreviated(slice name);
/* Lent until this thread has asked for some more zones: not to be kept. NULL: there is no such zone. */
zone *zone_find(slice id);
int64_t zone_offset_ms(zone *z, int64_t utc_ms);
/* A local time that occurs twice is the earlier one; one that is skipped moves on by the length of the gap. */
int64_t zone_to_utc(zone *z, int64_t local_ms);
/* "PDT", or "Pacific Daylight Time". Returns the bytes written, at most `room`. */
size_t zone_name(zone *z, int64_t utc_ms, bool is_long, char *out, size_t room);
slice zone_id(const zone *z);

/* "Z", "+02", "+0200", "+02:00", "-02:00:30" at the start of the text: the bytes read, 0 if there is none. */
size_t read_offset(slice text, int64_t *offset_ms);

#endif
