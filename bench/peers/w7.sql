-- W7: bids per bidder in sessions that a gap of 10 s ends. The harness reads which sessions are gone from keys of text, so the
-- table's changes are written once more under such keys, with a session's end as the harness has it: the gap behind its last event.
CREATE STREAM bid (auction BIGINT, bidder BIGINT, price BIGINT, channel VARCHAR, url VARCHAR, `dateTime` VARCHAR, extra VARCHAR)
  WITH (KAFKA_TOPIC = '${IN_PREFIX}bid', VALUE_FORMAT = 'JSON');

CREATE TABLE sessions WITH (KAFKA_TOPIC = '${OUT_TOPIC}.sessions', VALUE_FORMAT = 'JSON') AS
SELECT bidder, COUNT(*) AS cnt
FROM bid WINDOW SESSION (10 SECONDS)
GROUP BY bidder EMIT CHANGES;

CREATE STREAM changes (bidder BIGINT KEY, cnt BIGINT)
  WITH (KAFKA_TOPIC = '${OUT_TOPIC}.sessions', VALUE_FORMAT = 'JSON', WINDOW_TYPE = 'SESSION');

CREATE STREAM results WITH (KAFKA_TOPIC = '${OUT_TOPIC}', VALUE_FORMAT = 'JSON') AS
SELECT CAST(bidder AS VARCHAR) + '|' + CAST(WINDOWSTART AS VARCHAR) + '|' + CAST(WINDOWEND AS VARCHAR) AS k,
       AS_VALUE(bidder) AS `bidder`, WINDOWSTART AS `ws`, WINDOWEND + 10000 AS `we`, cnt AS `cnt`
FROM changes
PARTITION BY CAST(bidder AS VARCHAR) + '|' + CAST(WINDOWSTART AS VARCHAR) + '|' + CAST(WINDOWEND AS VARCHAR) EMIT CHANGES;
