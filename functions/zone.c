/* functions/zone.c - see zone.h. */
#include "functions/zone.h"

#include "functions/calendar.h"

#include <pthread.h>
#include <stdlib.h>
#include <unicode/ucal.h>
#include <unicode/ustring.h>

#define ZONES_PER_THREAD 8
#define ID_BYTES_MAX 64
/* Offsets change on quarter hours at most: what holds for a moment holds for its quarter hour. */
#define OFFSET_BLOCK_MS (15 * MS_PER_MINUTE)

struct zone {
    char id[ID_BYTES_MAX];
    size_t id_len;
    UCalendar *calendar; /* NULL: the offset is fixed */
    int64_t fixed_ms;
    int64_t block; /* the last block asked for, and its offset */
    int64_t block_offset_ms;
};

typedef struct zone_cache {
    zone zones[ZONES_PER_THREAD];
    uint32_t count;
    uint32_t next;
} zone_cache;

static _Thread_local zone_cache *this_thread;
static pthread_key_t cache_key; /* for a thread's end only */
static pthread_once_t cache_once = PTHREAD_ONCE_INIT;

static void cache_free(void *self)
{
    zone_cache *cache = self;

    for (uint32_t i = 0; i < cache->count; i++) {
        if (cache->zones[i].calendar != NULL) ucal_close(cache->zones[i].calendar);
    }
    free(cache);
}

static void make_key(void)
{
    if (pthread_key_create(&cache_key, cache_free) != 0) abort();
}

static bool digits(slice text, size_t at, uint32_t *number)
{
    if (at + 2 > text.len || text.data[at] < '0' || text.data[at] > '9' || text.data[at + 1] < '0' ||
        text.data[at + 1] > '9') {
        return false;
    }
    *number = (uint32_t)(text.data[at] - '0') * 10 + (uint32_t)(text.data[at + 1] - '0');
    return true;
}

size_t read_offset(slice text, int64_t *offset_ms)
{
    uint32_t hours, minutes = 0, seconds = 0;
    size_t at;

    *offset_ms = 0;
    if (text.len > 0 && (text.data[0] == 'Z' || text.data[0] == 'z')) return 1;
    if (text.len < 3 || (text.data[0] != '+' && text.data[0] != '-') || !digits(text, 1, &hours)) return 0;
    at = 3;
    bool has_colons = at < text.len && text.data[at] == ':';
    if (digits(text, at + has_colons, &minutes)) {
        at += 2 + has_colons;
        has_colons = at < text.len && text.data[at] == ':';
        if (has_colons && digits(text, at + 1, &seconds)) at += 3;
    }
    if (hours > 18 || minutes > 59 || seconds > 59) return 0;
    *offset_ms = (int64_t)hours * MS_PER_HOUR + (int64_t)minutes * MS_PER_MINUTE + (int64_t)seconds * MS_PER_SECOND;
    if (text.data[0] == '-') *offset_ms = -*offset_ms;
    return at;
}

static bool is_utc(slice id)
{
    return slice_is(id, "UTC") || slice_is(id, "GMT") || slice_is(id, "Z") || slice_is(id, "UT") ||
           slice_is(id, "Etc/UTC") || slice_is(id, "Etc/GMT");
}

slice zone_abbreviated(slice name)
{
    static const char *const zones[][2] = {
        { "PST", "America/Los_Angeles" }, { "PDT", "America/Los_Angeles" }, { "MST", "America/Denver" },
        { "MDT", "America/Denver" },      { "CST", "America/Chicago" },     { "CDT", "America/Chicago" },
        { "EST", "America/New_York" },    { "EDT", "America/New_York" },    { "AKST", "America/Anchorage" },
        { "AKDT", "America/Anchorage" },  { "HST", "Pacific/Honolulu" },    { "BST", "Europe/London" },
        { "WET", "Europe/Lisbon" },       { "WEST", "Europe/Lisbon" },      { "CET", "Europe/Paris" },
        { "CEST", "Europe/Paris" },       { "EET", "Europe/Athens" },       { "EEST", "Europe/Athens" },
        { "MSK", "Europe/Moscow" },       { "IST", "Asia/Kolkata" },        { "JST", "Asia/Tokyo" },
        { "AEST", "Australia/Sydney" },   { "AEDT", "Australia/Sydney" },   { "NZST", "Pacific/Auckland" },
        { "NZDT", "Pacific/Auckland" },
    };

    for (size_t i = 0; i < sizeof zones / sizeof *zones; i++) {
        if (slice_equal_nocase(name, slice_of(zones[i][0]))) return slice_of(zones[i][1]);
    }
    return name;
}

/* Fills *z; false: no such zone. */
static bool open_zone(slice id, zone *z)
{
    slice rest = id;

    *z = (zone){ .block = INT64_MIN };
    if (id.len == 0 || id.len >= ID_BYTES_MAX) return false;
    memcpy(z->id, id.data, id.len);
    z->id_len = id.len;
    if (is_utc(id)) return true;
    if (rest.len > 3 && (memcmp(rest.data, "UTC", 3) == 0 || memcmp(rest.data, "GMT", 3) == 0)) {
        rest.data += 3;
        rest.len -= 3;
    }
    if (rest.data[0] == '+' || rest.data[0] == '-') {
        char padded[ID_BYTES_MAX];
        if (rest.len == 2 || (rest.len > 2 && rest.data[2] == ':')) { /* +2, +2:30 */
            padded[0] = rest.data[0];
            padded[1] = '0';
            memcpy(padded + 2, rest.data + 1, rest.len - 1);
            rest = (slice){ padded, rest.len + 1 };
        }
        return read_offset(rest, &z->fixed_ms) == rest.len;
    }
    UChar wide[ID_BYTES_MAX], canonical[ID_BYTES_MAX * 2];
    for (size_t i = 0; i < id.len; i++) {
        if ((unsigned char)id.data[i] >= 0x80) return false;
        wide[i] = (UChar)id.data[i];
    }
    UErrorCode status = U_ZERO_ERROR;
    UBool is_system;
    ucal_getCanonicalTimeZoneID(wide, (int32_t)id.len, canonical, ID_BYTES_MAX * 2, &is_system, &status);
    if (U_FAILURE(status) || !is_system) { /* ICU would take an unknown zone for GMT */
        slice whole = zone_abbreviated(id);
        if (whole.data == id.data || !open_zone(whole, z)) return false;
        memcpy(z->id, id.data, id.len);
        z->id_len = id.len;
        return true;
    }
    status = U_ZERO_ERROR;
    z->calendar = ucal_open(wide, (int32_t)id.len, "en_US", UCAL_GREGORIAN, &status);
    return U_SUCCESS(status);
}

zone *zone_find(slice id)
{
    zone_cache *cache = this_thread;

    if (cache == NULL) {
        pthread_once(&cache_once, make_key);
        cache = calloc(1, sizeof *cache);
        if (cache == NULL) abort();
        pthread_setspecific(cache_key, cache);
        this_thread = cache;
    }
    for (uint32_t i = 0; i < cache->count; i++) {
        if (slice_equal(zone_id(&cache->zones[i]), id)) return &cache->zones[i];
    }
    zone opened;
    if (!open_zone(id, &opened)) return NULL;
    zone *slot = &cache->zones[cache->next];
    if (cache->next < cache->count && slot->calendar != NULL) ucal_close(slot->calendar);
    *slot = opened;
    if (cache->next == cache->count) cache->count++;
    cache->next = (cache->next + 1) % ZONES_PER_THREAD;
    return slot;
}

slice zone_id(const zone *z)
{
    return (slice){ z->id, z->id_len };
}

int64_t zone_offset_ms(zone *z, int64_t utc_ms)
{
    UErrorCode status = U_ZERO_ERROR;
    int64_t block = floor_divide(utc_ms, OFFSET_BLOCK_MS);

    if (z->calendar == NULL) return z->fixed_ms;
    if (block != z->block) {
        ucal_setMillis(z->calendar, (UDate)(block * OFFSET_BLOCK_MS), &status);
        z->block_offset_ms = ucal_get(z->calendar, UCAL_ZONE_OFFSET, &status) + ucal_get(z->calendar, UCAL_DST_OFFSET, &status);
        z->block = block;
    }
    return z->block_offset_ms;
}

int64_t zone_to_utc(zone *z, int64_t local_ms)
{
    if (z->calendar == NULL) return local_ms - z->fixed_ms;
    int64_t before = zone_offset_ms(z, local_ms - MS_PER_DAY);
    if (zone_offset_ms(z, local_ms - before) == before) return local_ms - before;
    int64_t after = zone_offset_ms(z, local_ms + MS_PER_DAY);
    if (zone_offset_ms(z, local_ms - after) == after) return local_ms - after;
    return local_ms - before; /* in the gap between them */
}

/* English has short names for the zones of its countries, each in its own variant; elsewhere it is GMT+n. */
size_t zone_name(zone *z, int64_t utc_ms, bool is_long, char *out, size_t room)
{
    static const char *const locales[] = { "en_US", "en_GB", "en_AU", "en_NZ", "en_ZA", "en_IN", "ja_JP" };
    UErrorCode status = U_ZERO_ERROR;
    UChar wide[64];
    int32_t length = 0;

    if (z->calendar == NULL) {
        size_t id_len = z->id_len < room ? z->id_len : room;
        memcpy(out, z->id, id_len);
        return id_len;
    }
    ucal_setMillis(z->calendar, (UDate)utc_ms, &status);
    z->block = INT64_MIN;
    bool is_summer = ucal_get(z->calendar, UCAL_DST_OFFSET, &status) != 0;
    UCalendarDisplayNameType kind = is_long ? (is_summer ? UCAL_DST : UCAL_STANDARD)
                                            : (is_summer ? UCAL_SHORT_DST : UCAL_SHORT_STANDARD);
    for (size_t i = 0; i < sizeof locales / sizeof locales[0]; i++) {
        UErrorCode found = U_ZERO_ERROR;
        UChar name[64];
        int32_t name_length = ucal_getTimeZoneDisplayName(z->calendar, kind, locales[i], name, 64, &found);
        bool is_offset = name_length > 3 && name[0] == 'G' && name[1] == 'M' && name[2] == 'T';
        if (U_FAILURE(found) || (i > 0 && is_offset)) continue;
        memcpy(wide, name, (size_t)name_length * sizeof *name);
        length = name_length;
        if (is_long || !is_offset) break;
    }
    int32_t written = 0;
    u_strToUTF8(out, (int32_t)room, &written, wide, length, &status);
    return U_SUCCESS(status) ? (size_t)written : 0;
}
