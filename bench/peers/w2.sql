-- W2: accesses per IP address in tumbling windows of 10 s, from raw text lines.
CREATE STREAM access_log (line VARCHAR) WITH (KAFKA_TOPIC = '${IN_PREFIX}access_log', VALUE_FORMAT = 'KAFKA');

CREATE TABLE results WITH (KAFKA_TOPIC = '${OUT_TOPIC}', VALUE_FORMAT = 'JSON') AS
SELECT REGEXP_EXTRACT('IP: ([0-9.]+)', line, 1) AS k, AS_VALUE(REGEXP_EXTRACT('IP: ([0-9.]+)', line, 1)) AS `key`,
       WINDOWSTART AS `ws`, WINDOWEND AS `we`, COUNT(*) AS `cnt`, MAX(ROWTIME) AS `last_ts`
FROM access_log WINDOW TUMBLING (SIZE 10 SECONDS)
GROUP BY REGEXP_EXTRACT('IP: ([0-9.]+)', line, 1) EMIT CHANGES;
