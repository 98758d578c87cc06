-- W1: filter and project bids (stateless), with a regular expression.
CREATE STREAM bid (auction BIGINT, bidder BIGINT, price BIGINT, channel VARCHAR, url VARCHAR, `dateTime` VARCHAR, extra VARCHAR)
  WITH (KAFKA_TOPIC = '${IN_PREFIX}bid', VALUE_FORMAT = 'JSON');

CREATE STREAM results WITH (KAFKA_TOPIC = '${OUT_TOPIC}', VALUE_FORMAT = 'JSON') AS
SELECT auction AS `auction`, bidder AS `bidder`, price * 0.908 AS `price`, UCASE(channel) AS `channel`,
       REGEXP_EXTRACT('channel_id=([^&]*)', url, 1) AS `channel_id`, `dateTime`
FROM bid WHERE price > 1000000 EMIT CHANGES;
