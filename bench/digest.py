#!/usr/bin/env python3
"""The digest of a workload's final table, as the peers' harness computes it, from a topic that weir wrote.

    weir consume TOPIC --kafka BROKERS --from-beginning --until-end --output json | bench/digest.py WORKLOAD

The harness looks for a row's identity in the value, under lower-case names. weir writes as ksqlDB does: names in upper
case, the key column in the record's key alone, and a session's end as the time of its last event (the peers add the gap of
10 s). This reads the same facts from where they are.
"""
import base64, decimal, json, struct, sys

SPEC = {  # workload: (identity, value fields, key column, its type)
    "w1": ([], ["auction", "bidder", "price", "channel", "channel_id", "dateTime"], None, None),
    "w2": (["key", "ws"], ["cnt"], "KEY", "text"),
    "w3": (["auction", "ws"], ["cnt"], "AUCTION", "long"),
    "w4": (["bidder", "ws"], ["max_price", "cnt", "sum_price"], "BIDDER", "long"),
    "w5": ([], ["auction", "bidder", "price", "item", "category", "seller"], None, None),
    "w6": ([], ["id", "name", "auction", "reserve"], None, None),
    "w7": (["bidder", "ws", "we"], ["cnt"], "BIDDER", "long"),
    "w8": (["auction"], ["cnt", "sum_price", "avg_price", "min_price", "max_price"], "AUCTION", "long"),
}
MASK = (1 << 64) - 1


def hashed(text):
    h = 0xCBF29CE484222325
    for c in text:
        h = ((h ^ ord(c)) * 0x100000001B3) & MASK
    h ^= h >> 32
    h = h * 0xD6E8FEB86659FD93 & MASK
    return h ^ h >> 32


def shown(field, value, workload):
    if value is None:
        return "~|"
    if isinstance(value, float) or (field == "price" and workload == "w1") or field == "avg_price":
        # as Java's %.1f: half up, of the shortest digits
        return "%s|" % decimal.Decimal(repr(float(value))).quantize(decimal.Decimal("0.1"), decimal.ROUND_HALF_UP)
    return "%s|" % value


def key_bytes(key):
    if isinstance(key, dict):  # bytes that are not UTF-8 come as {"$bytes": base64}
        return base64.b64decode(next(iter(key.values())))
    return key.encode()


def main():
    workload = sys.argv[1]
    identity, fields, column, kind = SPEC[workload]
    table, total, records = {}, 0, 0
    for line in sys.stdin:
        record = json.loads(line)
        records += 1
        raw = None if record.get("key") is None else key_bytes(record["key"])
        row = {}
        if column:
            windowed = "ws" in identity
            tail = 0 if not windowed else 16 if workload == "w7" else 8
            bare = raw[: len(raw) - tail]
            row[column] = bare.decode() if kind == "text" else struct.unpack(">q", bare)[0]
            if tail == 8:
                row["WS"] = struct.unpack(">q", raw[-8:])[0]
            elif tail == 16:
                end, start = struct.unpack(">qq", raw[-16:])
                row["WS"], row["WE"] = start, end + 10000
        name = "".join(shown(f, row.get(f.upper()), workload) for f in identity)
        if record.get("value") is None:
            table.pop(name, None)
            continue
        value = record["value"]
        value = json.loads(value) if isinstance(value, str) else value
        text = "".join(shown(f, value.get(f.upper(), value.get(f)), workload) for f in fields)
        if identity:
            table[name] = hashed(name + text)
        else:
            total += hashed(text)
    total += sum(table.values())
    print(json.dumps({"workload": workload, "records": records, "rows": len(table) if identity else records,
                      "digest": "%016x" % (total & MASK)}))


if __name__ == "__main__":
    main()
