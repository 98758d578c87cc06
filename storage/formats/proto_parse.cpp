/* storage/formats/proto_parse.cpp - .proto text to a tree for C: libprotobuf's parser and descriptors. Nothing of it lives on. */
#include "storage/formats/proto_schema.h"

extern "C" {
#include "core/number.h"
}

#include <google/protobuf/compiler/parser.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/stubs/logging.h>
#include <google/protobuf/timestamp.pb.h>
#include <google/protobuf/unknown_field_set.h>
#include <google/protobuf/wrappers.pb.h>

#include <map>
#include <string>
#include <vector>

namespace pb = google::protobuf;

namespace {

const int FIELD_META = 1088, META_PARAMS = 2; /* (confluent.field_meta).params */

/* What schema registries know without being told. */
const struct {
    const char *name, *text;
} KNOWN_FILES[] = {
    { "confluent/meta.proto",
      "syntax = \"proto3\"; package confluent; import \"google/protobuf/descriptor.proto\";"
      "message Meta { string doc = 1; map<string, string> params = 2; repeated string tags = 3; }"
      "extend google.protobuf.FileOptions { Meta file_meta = 1088; }"
      "extend google.protobuf.MessageOptions { Meta message_meta = 1088; }"
      "extend google.protobuf.FieldOptions { Meta field_meta = 1088; }"
      "extend google.protobuf.EnumOptions { Meta enum_meta = 1088; }"
      "extend google.protobuf.EnumValueOptions { Meta enum_value_meta = 1088; }" },
    { "confluent/type/decimal.proto",
      "syntax = \"proto3\"; package confluent.type;"
      "message Decimal { bytes value = 1; uint32 precision = 2; int32 scale = 3; }" },
    { "google/type/date.proto",
      "syntax = \"proto3\"; package google.type; message Date { int32 year = 1; int32 month = 2; int32 day = 3; }" },
    { "google/type/timeofday.proto",
      "syntax = \"proto3\"; package google.type;"
      "message TimeOfDay { int32 hours = 1; int32 minutes = 2; int32 seconds = 3; int32 nanos = 4; }" },
};

struct faults : pb::io::ErrorCollector, pb::DescriptorPool::ErrorCollector {
    std::string first;

    void AddError(int line, int column, const std::string &message) override
    {
        if (first.empty()) first = "line " + std::to_string(line + 1) + ", column " + std::to_string(column + 1) + ": " + message;
    }
    void AddError(const std::string &, const std::string &element, const pb::Message *, ErrorLocation,
                  const std::string &message) override
    {
        if (first.empty()) first = element + ": " + message;
    }
};

/* Some clients register a descriptor in base64, and some registries give it back as it came. No .proto text is base64. */
bool parse_descriptor(const std::string &text, pb::FileDescriptorProto *out)
{
    std::string bytes(base64_decoded_max(text.size()), '\0');
    size_t len = 0;

    return !text.empty() && base64_decode(slice{ text.data(), text.size() }, &bytes[0], &len) &&
           out->ParseFromArray(bytes.data(), (int)len);
}

bool parse_text(const std::string &text, pb::FileDescriptorProto *out, faults &wrong)
{
    pb::io::ArrayInputStream stream(text.data(), (int)text.size());
    pb::io::Tokenizer tokens(&stream, &wrong);
    pb::compiler::Parser parser;

    parser.RecordErrorsTo(&wrong);
    bool is_good = parser.Parse(&tokens, out);
    if (!is_good && wrong.first.empty()) wrong.first = "it is no .proto text";
    return is_good && wrong.first.empty();
}

const pb::FileDescriptor *build(pb::DescriptorPool &pool, const std::string &name, const std::string &text, faults &wrong)
{
    pb::FileDescriptorProto parsed;

    if (!parse_descriptor(text, &parsed) && !parse_text(text, &parsed, wrong)) return nullptr;
    parsed.set_name(name);
    for (const std::string &wanted : parsed.dependency()) {
        if (pool.FindFileByName(wanted) != nullptr) continue;
        for (const auto &known : KNOWN_FILES) {
            if (wanted == known.name && build(pool, known.name, known.text, wrong) == nullptr) return nullptr;
        }
    }
    return pool.BuildFileCollectingErrors(parsed, &wrong);
}

slice keep(arena *a, const std::string &s)
{
    return arena_copy(a, slice{ s.data(), s.size() });
}

proto_known known_of(const std::string &name)
{
    static const char *const wrappers[] = { "Double", "Float", "Int64", "UInt64", "Int32", "UInt32", "Bool", "String", "Bytes" };

    if (name == "google.protobuf.Timestamp") return KNOWN_TIMESTAMP;
    if (name == "google.type.Date") return KNOWN_DATE;
    if (name == "google.type.TimeOfDay") return KNOWN_TIME;
    if (name == "confluent.type.Decimal") return KNOWN_DECIMAL;
    for (const char *w : wrappers) {
        if (name == std::string("google.protobuf.") + w + "Value") return KNOWN_WRAPPER;
    }
    return KNOWN_NONE;
}

/* The options' params: precision and scale. */
void read_meta(const pb::FieldDescriptor *from, proto_field *to)
{
    std::string options;

    if (!from->options().SerializeToString(&options)) return;
    pb::UnknownFieldSet all;
    if (!all.ParseFromString(options)) return;
    for (int i = 0; i < all.field_count(); i++) {
        const pb::UnknownField &f = all.field(i);
        pb::UnknownFieldSet meta;
        if (f.number() != FIELD_META || f.type() != pb::UnknownField::TYPE_LENGTH_DELIMITED) continue;
        if (!meta.ParseFromString(f.length_delimited())) continue;
        for (int k = 0; k < meta.field_count(); k++) {
            pb::UnknownFieldSet entry;
            std::string key, value;
            if (meta.field(k).number() != META_PARAMS || meta.field(k).type() != pb::UnknownField::TYPE_LENGTH_DELIMITED) continue;
            if (!entry.ParseFromString(meta.field(k).length_delimited())) continue;
            for (int e = 0; e < entry.field_count(); e++) {
                if (entry.field(e).type() != pb::UnknownField::TYPE_LENGTH_DELIMITED) continue;
                (entry.field(e).number() == 1 ? key : value) = entry.field(e).length_delimited();
            }
            int number = atoi(value.c_str());
            if (number < 0 || number > 255) continue;
            if (key == "precision") to->precision = (uint8_t)number;
            if (key == "scale") to->scale = (uint8_t)number;
        }
    }
}

struct walker {
    arena *a;
    std::map<const pb::Descriptor *, proto_message *> made;
    std::vector<const pb::Descriptor *> wanted; /* met, and still to be filled */

    proto_message *message(const pb::Descriptor *d)
    {
        auto found = made.find(d);
        if (found != made.end()) return found->second;
        proto_message *m = (proto_message *)arena_zero(a, sizeof *m);
        made[d] = m;
        wanted.push_back(d);
        return m;
    }

    void fill(const pb::Descriptor *d)
    {
        proto_message *m = made[d];
        std::vector<int32_t> path;

        for (const pb::Descriptor *at = d; at != nullptr; at = at->containing_type()) path.insert(path.begin(), at->index());
        int32_t *kept = (int32_t *)arena_alloc(a, sizeof *kept * path.size());
        for (size_t i = 0; i < path.size(); i++) kept[i] = path[i];
        m->path = kept;
        m->path_count = (uint32_t)path.size();
        m->name = keep(a, d->full_name());
        m->known = known_of(d->full_name());
        m->count = (uint32_t)d->field_count();
        proto_field *fields = (proto_field *)arena_zero(a, sizeof *fields * (m->count + 1));
        m->fields = fields;
        for (uint32_t i = 0; i < m->count; i++) field(d->field((int)i), &fields[i]);
    }

    void field(const pb::FieldDescriptor *from, proto_field *to)
    {
        to->name = keep(a, from->name());
        to->number = (uint32_t)from->number();
        to->kind = (proto_kind)from->type();
        to->is_repeated = from->is_repeated();
        to->is_packed = from->is_packed();
        to->is_map = from->is_map();
        to->has_presence = from->has_presence();
        read_meta(from, to);
        if (from->message_type() != nullptr) to->message = message(from->message_type());
        if (from->enum_type() == nullptr) return;
        to->symbol_count = (uint32_t)from->enum_type()->value_count();
        proto_symbol *symbols = (proto_symbol *)arena_zero(a, sizeof *symbols * to->symbol_count);
        for (uint32_t i = 0; i < to->symbol_count; i++) {
            symbols[i].name = keep(a, from->enum_type()->value((int)i)->name());
            symbols[i].number = from->enum_type()->value((int)i)->number();
        }
        to->symbols = symbols;
    }
};

void collect(const pb::Descriptor *d, std::vector<const pb::Descriptor *> &all)
{
    all.push_back(d);
    for (int i = 0; i < d->nested_type_count(); i++) collect(d->nested_type(i), all);
}

} // namespace

weir_rc proto_parse(slice schema, const proto_import *imports, uint32_t import_count, arena *a, proto_file *out, weir_error *err)
{
    /* Both are needed to be linked: the pool below finds their files by name. */
    pb::Timestamp::descriptor();
    pb::Int32Value::descriptor();
    pb::FieldOptions::descriptor();
    static pb::LogHandler *const spoke = pb::SetLogHandler(nullptr); /* what it has to say comes with the error */
    (void)spoke;
    pb::DescriptorPool pool(pb::DescriptorPool::generated_pool());
    faults wrong;
    std::vector<const pb::Descriptor *> all;
    const pb::FileDescriptor *file = nullptr;
    bool is_good = true;

    for (uint32_t i = 0; is_good && i < import_count; i++) {
        std::string name(imports[i].name.data, imports[i].name.len);
        if (pool.FindFileByName(name) != nullptr) continue;
        is_good = build(pool, name, std::string(imports[i].text.data, imports[i].text.len), wrong) != nullptr;
    }
    if (is_good) file = build(pool, "schema.proto", std::string(schema.data, schema.len), wrong);
    if (file == nullptr) {
        return weir_fail(err, WEIR_SEMANTIC, NOWHERE, "the Protobuf schema is wrong: %.400s", wrong.first.c_str());
    }
    for (int i = 0; i < file->message_type_count(); i++) collect(file->message_type(i), all);
    walker w{ a, {}, {} };
    proto_message **messages = (proto_message **)arena_zero(a, sizeof *messages * (all.size() + 1));
    for (size_t i = 0; i < all.size(); i++) messages[i] = w.message(all[i]);
    for (size_t i = 0; i < w.wanted.size(); i++) w.fill(w.wanted[i]);
    out->messages = messages;
    out->count = (uint32_t)all.size();
    return WEIR_OK;
}
