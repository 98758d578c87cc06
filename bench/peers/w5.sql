-- W5: each bid joined with its auction (stream-table join).
CREATE STREAM bid (auction BIGINT, bidder BIGINT, price BIGINT, channel VARCHAR, url VARCHAR, `dateTime` VARCHAR, extra VARCHAR)
  WITH (KAFKA_TOPIC = '${IN_PREFIX}bid', VALUE_FORMAT = 'JSON');
CREATE TABLE auction (auction_id VARCHAR PRIMARY KEY, id BIGINT, itemName VARCHAR, description VARCHAR, initialBid BIGINT, reserve BIGINT,
                      `dateTime` VARCHAR, expires VARCHAR, seller BIGINT, category BIGINT, extra VARCHAR)
  WITH (KAFKA_TOPIC = '${IN_PREFIX}auction', KEY_FORMAT = 'KAFKA', VALUE_FORMAT = 'JSON');

CREATE STREAM results WITH (KAFKA_TOPIC = '${OUT_TOPIC}', VALUE_FORMAT = 'JSON') AS
SELECT a.auction_id AS k, AS_VALUE(b.auction) AS `auction`, b.bidder AS `bidder`, b.price AS `price`, a.itemName AS `item`,
       a.category AS `category`, a.seller AS `seller`
FROM bid b JOIN auction a ON CAST(b.auction AS VARCHAR) = a.auction_id EMIT CHANGES;
