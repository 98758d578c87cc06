-- W6: new persons joined with the auctions they open, within 10 s either way (stream-stream join).
CREATE STREAM person (id BIGINT, name VARCHAR, emailAddress VARCHAR, creditCard VARCHAR, city VARCHAR, state VARCHAR, `dateTime` VARCHAR, extra VARCHAR)
  WITH (KAFKA_TOPIC = '${IN_PREFIX}person', VALUE_FORMAT = 'JSON');
CREATE STREAM auction (id BIGINT, itemName VARCHAR, description VARCHAR, initialBid BIGINT, reserve BIGINT,
                       `dateTime` VARCHAR, expires VARCHAR, seller BIGINT, category BIGINT, extra VARCHAR)
  WITH (KAFKA_TOPIC = '${IN_PREFIX}auction', VALUE_FORMAT = 'JSON');

CREATE STREAM results WITH (KAFKA_TOPIC = '${OUT_TOPIC}', VALUE_FORMAT = 'JSON') AS
SELECT p.id AS k, AS_VALUE(p.id) AS `id`, p.name AS `name`, a.id AS `auction`, a.reserve AS `reserve`
FROM person p JOIN auction a WITHIN 10 SECONDS ON p.id = a.seller EMIT CHANGES;
