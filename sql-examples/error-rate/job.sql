-- Lines such as: 2024-06-03T09:00:03Z ERROR [cart] request 17 took 210 ms
CREATE STREAM lines (line VARCHAR) WITH (KAFKA_TOPIC = 'service_log', VALUE_FORMAT = 'KAFKA');

CREATE STREAM service_log WITH (KAFKA_TOPIC = 'service_log_parsed', VALUE_FORMAT = 'JSON', TIMESTAMP = 'ts') AS
SELECT REGEXP_EXTRACT('\[([a-z]+)\]', line, 1) AS service,
       REGEXP_EXTRACT('^[^ ]+ ([A-Z]+)', line, 1) AS level,
       PARSE_TIMESTAMP(REGEXP_EXTRACT('^([^ ]+)', line, 1), 'yyyy-MM-dd''T''HH:mm:ssX') AS ts
FROM lines;

-- Alerts: minutes in which more than a fifth of a service's lines, of at least five, are errors.
CREATE TABLE alerts AS
SELECT service, COUNT(*) AS log_lines, SUM(CASE WHEN level = 'ERROR' THEN 1 ELSE 0 END) AS errors
FROM service_log
GROUP BY service, TUMBLING(1m)
HAVING COUNT(*) >= 5 AND SUM(CASE WHEN level = 'ERROR' THEN 1 ELSE 0 END) * 5 > COUNT(*);
