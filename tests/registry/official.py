"""The official client's serializers and deserializers behind one face: of(FORMAT, registry) has write(), reader()."""
import datetime
import decimal
import json
import os
import subprocess
import tempfile

import google.type
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer, ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

# What registries know without being told, for protoc.
KNOWN = {
    'confluent/meta.proto': '''syntax = "proto3"; package confluent; import "google/protobuf/descriptor.proto";
        message Meta { string doc = 1; map<string, string> params = 2; repeated string tags = 3; }
        extend google.protobuf.FieldOptions { Meta field_meta = 1088; }''',
    'confluent/type/decimal.proto': '''syntax = "proto3"; package confluent.type;
        message Decimal { bytes value = 1; uint32 precision = 2; int32 scale = 3; }''',
}


def context(topic, is_key=False):
    return SerializationContext(topic, MessageField.KEY if is_key else MessageField.VALUE)


def message_class(text, name=None):
    """The class of a message of a .proto text, the first where it is not named."""
    with tempfile.TemporaryDirectory() as path:
        for file, known in KNOWN.items():
            os.makedirs(os.path.dirname(os.path.join(path, file)), exist_ok=True)
            open(os.path.join(path, file), 'w').write(known)
        open(path + '/schema.proto', 'w').write(text)
        types = os.path.dirname(os.path.dirname(list(google.type.__path__)[0]))
        subprocess.run(['protoc', '-I', path, '-I', types, '--include_imports', '--descriptor_set_out', path + '/set', 'schema.proto'],
                       check=True)
        files = descriptor_pb2.FileDescriptorSet.FromString(open(path + '/set', 'rb').read())
    first = next(f for f in files.file if f.name == 'schema.proto').message_type[0].name
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)
    made = pool.FindFileByName('schema.proto')
    found = made.message_types_by_name[name] if name else made.message_types_by_name[first]
    return message_factory.GetMessageClass(found)


def plain(value):
    """A Protobuf message as plain values: what stands for one value as that, absent ones as None."""
    known = value.DESCRIPTOR.full_name
    if known == 'google.protobuf.Timestamp':
        return value.ToDatetime(datetime.timezone.utc)
    if known == 'google.type.Date':
        return datetime.date(value.year, value.month, value.day)
    if known == 'google.type.TimeOfDay':
        return datetime.time(value.hours, value.minutes, value.seconds, value.nanos // 1000)
    if known == 'confluent.type.Decimal':
        return decimal.Decimal(int.from_bytes(value.value, 'big', signed=True)).scaleb(-value.scale)
    if known.startswith('google.protobuf.') and known.endswith('Value'):
        return value.value

    def one(field, item):
        return plain(item) if field.message_type else item
    out = {}
    for field in value.DESCRIPTOR.fields:
        got = getattr(value, field.name)
        is_map = field.message_type is not None and field.message_type.GetOptions().map_entry
        if is_map:
            out[field.name] = {k: one(field.message_type.fields_by_name['value'], got[k]) for k in got}
        elif hasattr(got, 'append'):
            out[field.name] = [one(field, item) for item in got]
        elif field.has_presence and not value.HasField(field.name):
            out[field.name] = None
        else:
            out[field.name] = one(field, got)
    return out


class Official:
    def __init__(self, registry):
        self.client = SchemaRegistryClient({'url': registry})

    def latest(self, topic, is_key=False):
        return self.client.get_latest_version(topic + ('-key' if is_key else '-value')).schema.schema_str


class Avro(Official):
    language = 'AVRO'

    def writer(self, topic, schema, is_key=False):
        serializer = AvroSerializer(self.client, schema)
        return lambda value: None if value is None else serializer(value, context(topic, is_key))

    def reader(self, topic, is_key=False):
        deserializer = AvroDeserializer(self.client)
        return lambda data: deserializer(data, context(topic, is_key))


class Json(Official):
    language = 'JSON'

    def writer(self, topic, schema, is_key=False):
        serializer = JSONSerializer(schema, self.client)
        return lambda value: None if value is None else serializer(value, context(topic, is_key))

    def reader(self, topic, is_key=False):
        """By the schema of the record itself, which it is validated against."""
        deserializer = JSONDeserializer(None, schema_registry_client=self.client)
        return lambda data: deserializer(data, context(topic, is_key))


class Protobuf(Official):
    language = 'PROTOBUF'

    def writer(self, topic, schema, is_key=False):
        cls = message_class(schema)
        serializer = ProtobufSerializer(cls, self.client, {'use.deprecated.format': False})
        return lambda value: None if value is None else serializer(json_format.ParseDict(value, cls()), context(topic, is_key))

    def reader(self, topic, is_key=False):
        """By the class of the schema registered last. It asks for no schema itself: it could read descriptors only."""
        cls = message_class(self.latest(topic, is_key))
        deserializer = ProtobufDeserializer(cls, {'use.deprecated.format': False})

        def read(data):
            got = deserializer(data, context(topic, is_key))
            return None if got is None else plain(got)
        return read


def of(name, registry):
    return {'AVRO': Avro, 'JSON_SR': Json, 'PROTOBUF': Protobuf}[name](registry)
