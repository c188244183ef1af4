-- Runs by what the ledger says of them: when they began, how long they took, what they took in.
-- The first run's number is 1, the next one's 2.
-- A run lasts from its first fact to its last: without starting, and what comes after.
SELECT
    run_id,
    min(seq) AS first_seq,
    row_number() OVER (ORDER BY min(seq)) AS run_number,
    CAST(min(recorded_at) AS DATE) AS run_date,
    date_diff('millisecond', min(recorded_at), max(recorded_at)) AS milliseconds,
    sum(CASE WHEN kind IN ('admitted', 'held', 'unreadable') THEN 1 ELSE 0 END) AS files_read,
    sum(CASE WHEN kind IN ('held', 'unreadable') THEN 1 ELSE 0 END) AS files_in_trouble,
    sum(CASE WHEN kind = 'absorbed' THEN 1 ELSE 0 END) AS tables_brought_up_to_date
FROM ledger.facts
WHERE run_id IS NOT NULL
GROUP BY run_id
ORDER BY first_seq DESC
