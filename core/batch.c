/* core/batch.c - see batch.h. */
#include "core/batch.h"

size_t column_element_bytes(const type *t)
{
    switch (t->kind) {
    case TYPE_NULL:
    case TYPE_BOOLEAN: return sizeof(uint8_t);
    case TYPE_INTEGER:
    case TYPE_DATE:
    case TYPE_TIME: return sizeof(int32_t);
    case TYPE_BIGINT:
    case TYPE_TIMESTAMP: return sizeof(int64_t);
    case TYPE_DOUBLE: return sizeof(double);
    case TYPE_DECIMAL: return sizeof(decimal);
    case TYPE_STRING:
    case TYPE_BYTES:
    case TYPE_INTERVAL_UNIT: return sizeof(slice);
    case TYPE_ARRAY:
    case TYPE_MAP:
    case TYPE_STRUCT: return sizeof(value);
    case TYPE_LAMBDA: return 0;
    }
    return 0;
}

column column_new(arena *a, const type *t, uint32_t rows)
{
    return (column){ .type = t,
                     .null = arena_zero(a, rows),
                     .any = arena_alloc(a, column_element_bytes(t) * rows) };
}

value column_get(const column *c, uint32_t row)
{
    value v = { .is_null = c->null[row] != 0 };

    if (v.is_null) return v;
    switch (c->type->kind) {
    case TYPE_NULL: v.is_null = true; break;
    case TYPE_BOOLEAN: v.boolean = c->boolean[row] != 0; break;
    case TYPE_INTEGER:
    case TYPE_DATE:
    case TYPE_TIME: v.i32 = c->i32[row]; break;
    case TYPE_BIGINT:
    case TYPE_TIMESTAMP: v.i64 = c->i64[row]; break;
    case TYPE_DOUBLE: v.f64 = c->f64[row]; break;
    case TYPE_DECIMAL: v.dec = c->dec[row]; break;
    case TYPE_STRING:
    case TYPE_BYTES:
    case TYPE_INTERVAL_UNIT: v.str = c->str[row]; break;
    case TYPE_ARRAY:
    case TYPE_MAP:
    case TYPE_STRUCT: v = c->nested[row]; break;
    case TYPE_LAMBDA: break;
    }
    return v;
}

void column_set(column *c, uint32_t row, const value *v)
{
    c->null[row] = v->is_null;
    if (v->is_null) return;
    switch (c->type->kind) {
    case TYPE_NULL: c->null[row] = 1; break;
    case TYPE_BOOLEAN: c->boolean[row] = v->boolean; break;
    case TYPE_INTEGER:
    case TYPE_DATE:
    case TYPE_TIME: c->i32[row] = v->i32; break;
    case TYPE_BIGINT:
    case TYPE_TIMESTAMP: c->i64[row] = v->i64; break;
    case TYPE_DOUBLE: c->f64[row] = v->f64; break;
    case TYPE_DECIMAL: c->dec[row] = v->dec; break;
    case TYPE_STRING:
    case TYPE_BYTES:
    case TYPE_INTERVAL_UNIT: c->str[row] = v->str; break;
    case TYPE_ARRAY:
    case TYPE_MAP:
    case TYPE_STRUCT: c->nested[row] = *v; break;
    case TYPE_LAMBDA: break;
    }
}

void column_copy_row(column *to, uint32_t to_row, const column *from, uint32_t from_row)
{
    size_t bytes = column_element_bytes(to->type);

    to->null[to_row] = from->null[from_row];
    if (!from->null[from_row]) memcpy((char *)to->any + to_row * bytes, (char *)from->any + from_row * bytes, bytes);
}
