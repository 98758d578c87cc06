-- Visits as CSV lines: who, which page, how long (seconds), when.
CREATE STREAM visits (usr VARCHAR, page VARCHAR, stay INT, visited VARCHAR)
WITH (KAFKA_TOPIC = 'visits', VALUE_FORMAT = 'DELIMITED', TIMESTAMP = 'visited', TIMESTAMP_FORMAT = 'yyyy-MM-dd''T''HH:mm:ssX');

-- Those of three days in March, per user; ROWTIME is the time of the visit.
CREATE TABLE visits_in_range AS
SELECT usr, COUNT(*) AS visits, SUM(stay) AS stay
FROM visits
WHERE ROWTIME >= '${FROM}' AND ROWTIME < '${TO}'
GROUP BY usr;
