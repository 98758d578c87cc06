-- W7: bids per bidder in sessions that a gap of 10 s ends.
CREATE STREAM bid (auction BIGINT, bidder BIGINT, price BIGINT, channel VARCHAR, url VARCHAR, `dateTime` VARCHAR, extra VARCHAR)
  WITH (KAFKA_TOPIC = '${IN_PREFIX}bid', VALUE_FORMAT = 'JSON');

CREATE TABLE results WITH (KAFKA_TOPIC = '${OUT_TOPIC}', VALUE_FORMAT = 'JSON') AS
SELECT bidder AS k, AS_VALUE(bidder) AS `bidder`, WINDOWSTART AS `ws`, WINDOWEND AS `we`, COUNT(*) AS `cnt`
FROM bid WINDOW SESSION (10 SECONDS)
GROUP BY bidder EMIT CHANGES;
