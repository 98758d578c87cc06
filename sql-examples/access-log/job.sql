-- Lines as a web server wrote them. The topic was made by weir produce.
CREATE STREAM lines (line VARCHAR) WITH (KAFKA_TOPIC = 'access_log', VALUE_FORMAT = 'KAFKA');

-- What stands in a line, and when: from here on the time in the text is the event time.
CREATE STREAM access WITH (VALUE_FORMAT = 'JSON', TIMESTAMP = 'ts') AS
SELECT REGEXP_EXTRACT('IP: ([0-9.]+)', line, 1) AS ip,
       REGEXP_EXTRACT('User: ([^,]+)', line, 1) AS usr,
       REGEXP_EXTRACT('Action: (.+)$', line, 1) AS action,
       PARSE_TIMESTAMP(REGEXP_EXTRACT('^\[([^\]]+)\]', line, 1), 'yyyy-MM-dd HH:mm:ss') AS ts
FROM lines;

-- Accesses per address, in windows of ten seconds.
CREATE TABLE hits AS
SELECT ip, COUNT(*) AS n FROM access GROUP BY ip, TUMBLING(10s);
