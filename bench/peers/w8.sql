-- W8: running statistics per auction (an updating table).
CREATE STREAM bid (auction BIGINT, bidder BIGINT, price BIGINT, channel VARCHAR, url VARCHAR, `dateTime` VARCHAR, extra VARCHAR)
  WITH (KAFKA_TOPIC = '${IN_PREFIX}bid', VALUE_FORMAT = 'JSON');

CREATE TABLE results WITH (KAFKA_TOPIC = '${OUT_TOPIC}', VALUE_FORMAT = 'JSON') AS
SELECT auction AS k, AS_VALUE(auction) AS `auction`, COUNT(*) AS `cnt`, SUM(price) AS `sum_price`, AVG(price) AS `avg_price`,
       MIN(price) AS `min_price`, MAX(price) AS `max_price`, MAX(ROWTIME) AS `last_ts`
FROM bid GROUP BY auction EMIT CHANGES;
