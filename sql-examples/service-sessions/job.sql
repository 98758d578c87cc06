-- Contacts with customer service as JSON lines: who, by which channel, when.
CREATE STREAM contacts (customer VARCHAR, channel VARCHAR, made VARCHAR)
WITH (KAFKA_TOPIC = 'contacts', VALUE_FORMAT = 'JSON', TIMESTAMP = 'made', TIMESTAMP_FORMAT = 'yyyy-MM-dd''T''HH:mm:ssX');

-- Contacts of a customer that follow within five minutes are one case.
CREATE TABLE cases AS
SELECT customer, COUNT(*) AS contacts, COUNT_DISTINCT(channel) AS channels,
       COLLECT_LIST(channel) AS path
FROM contacts GROUP BY customer, SESSION(5m);
