/* core/json_index.cpp - see json_index.h. The library picks the code for this machine's instructions by
 * itself. */
#include "core/json_index.h"

#include <simdjson.h>

#include <memory>
#include <new>

using parser = simdjson::internal::dom_parser_implementation;

static constexpr size_t FIRST_BYTES = 4096;

json_index *json_index_new(void)
{
    return new (std::nothrow) json_index{};
}

static void drop_parser(json_index *index)
{
    delete static_cast<parser *>(index->parser);
    index->parser = nullptr;
    index->held_bytes = 0;
}

void json_index_free(json_index *index)
{
    if (index != nullptr) drop_parser(index);
    delete index;
}

void json_index_trim(json_index *index, size_t bytes_max)
{
    if (index->held_bytes > bytes_max) drop_parser(index);
}

static json_fault make_room(json_index *index, size_t bytes)
{
    std::unique_ptr<parser> made;
    size_t held = index->held_bytes * 2 > FIRST_BYTES ? index->held_bytes * 2 : FIRST_BYTES;

    if (bytes > simdjson::SIMDJSON_MAXSIZE_BYTES) return JSON_TOO_LARGE;
    if (held < bytes) held = bytes;
    if (held > simdjson::SIMDJSON_MAXSIZE_BYTES) held = simdjson::SIMDJSON_MAXSIZE_BYTES;
    drop_parser(index);
    if (simdjson::get_active_implementation()->create_dom_parser_implementation(held, 1, made) != simdjson::SUCCESS) {
        return JSON_NO_MEMORY;
    }
    index->parser = made.release();
    index->held_bytes = held;
    return JSON_FINE;
}

json_fault json_index_find(json_index *index, const char *bytes, size_t len)
{
    if (len == 0) return JSON_EMPTY;
    if (len > index->held_bytes) {
        json_fault fault = make_room(index, len);
        if (fault != JSON_FINE) return fault;
    }
    parser *p = static_cast<parser *>(index->parser);
    simdjson::error_code code =
        p->stage1(reinterpret_cast<const uint8_t *>(bytes), len, simdjson::stage1_mode::regular);
    index->at = p->structural_indexes.get();
    index->count = p->n_structural_indexes;
    switch (code) {
    case simdjson::SUCCESS:
        return JSON_FINE;
    case simdjson::EMPTY:
        return JSON_EMPTY;
    case simdjson::UTF8_ERROR:
        return JSON_NOT_UTF8;
    case simdjson::UNCLOSED_STRING:
        return JSON_OPEN_STRING;
    case simdjson::UNESCAPED_CHARS:
        return JSON_CONTROL_CHARACTER;
    default:
        return JSON_OTHER;
    }
}

bool json_utf8_valid(const char *bytes, size_t len)
{
    return simdjson::validate_utf8(bytes, len);
}
