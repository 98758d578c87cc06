-- W4: maximum, count and sum of prices per bidder in tumbling windows of 10 s.
CREATE STREAM bid (auction BIGINT, bidder BIGINT, price BIGINT, channel VARCHAR, url VARCHAR, `dateTime` VARCHAR, extra VARCHAR)
  WITH (KAFKA_TOPIC = '${IN_PREFIX}bid', VALUE_FORMAT = 'JSON');

CREATE TABLE results WITH (KAFKA_TOPIC = '${OUT_TOPIC}', VALUE_FORMAT = 'JSON') AS
SELECT bidder AS k, AS_VALUE(bidder) AS `bidder`, WINDOWSTART AS `ws`, WINDOWEND AS `we`, MAX(price) AS `max_price`,
       COUNT(*) AS `cnt`, SUM(price) AS `sum_price`
FROM bid WINDOW TUMBLING (SIZE 10 SECONDS)
GROUP BY bidder EMIT CHANGES;
