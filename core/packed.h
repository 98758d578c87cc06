/* core/packed.h - words of eight bytes in as few as their values need. What aggregates keep is mostly small numbers and short
 * doubles in wide words, and a state is written, merged and read again by the byte.
 *
 * First four bits a word, two words a byte, the first of them in the low bits; then the words' bytes, low ones first. 0 to 8: so
 * many of the zigzag's low bytes; 9 to 15: 1 to 7 of the word's own high bytes. */
#ifndef WEIR_CORE_PACKED_H
#define WEIR_CORE_PACKED_H

#include "core/bytes.h"
#include "core/text.h"

/* Of whatever lies in the words. */
void text_add_packed(text *out, const void *words, uint32_t count);
/* The reader is bad behind it where it had less. */
void read_packed(reader_bytes *in, void *words, uint32_t count);

#endif
