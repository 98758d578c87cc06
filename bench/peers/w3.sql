-- W3: bids per auction in hopping windows (10 s, every 2 s).
CREATE STREAM bid (auction BIGINT, bidder BIGINT, price BIGINT, channel VARCHAR, url VARCHAR, `dateTime` VARCHAR, extra VARCHAR)
  WITH (KAFKA_TOPIC = '${IN_PREFIX}bid', VALUE_FORMAT = 'JSON');

CREATE TABLE results WITH (KAFKA_TOPIC = '${OUT_TOPIC}', VALUE_FORMAT = 'JSON') AS
SELECT auction AS k, AS_VALUE(auction) AS `auction`, WINDOWSTART AS `ws`, WINDOWEND AS `we`, COUNT(*) AS `cnt`
FROM bid WINDOW HOPPING (SIZE 10 SECONDS, ADVANCE BY 2 SECONDS)
GROUP BY auction EMIT CHANGES;
