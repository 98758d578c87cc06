/* core/packed.h - words of eight bytes in as few as their values need. What aggregates keep is mostly small numbers and short doubles in
 * wide words, and a state is written, merged and read again by the byte.
 *
 * First four bits a word, two words a byte, the first of them in the low bits; then the words' bytes, low ones first. 0 to 8: so
 * many of the zigzag's low bytes; 9 to 15: 1 to 7 of the word's own high bytes. */
#ifndef WEIR_CORE_PACKED_H
#define WEIR_CORE_PACKED_H

#include "core/bytes.h"
#include "core/text.h"

void text_add_packed(text *out, const uint64_t *words, uint32_t count);
/* False, and the reader is bad: it has less. */
bool read_packed(reader_bytes *in, uint64_t *words, uint32_t count);

#endif
