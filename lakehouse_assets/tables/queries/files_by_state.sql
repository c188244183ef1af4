-- Files of each batch date by what they are now: in force, held, unreadable, replaced, withdrawn.
WITH numbered AS (
    SELECT
        dataset,
        batch_date,
        state,
        row_number() OVER (
            PARTITION BY dataset, batch_date, file, digest ORDER BY seq DESC
        ) AS place
    FROM ledger.receipts
)
SELECT dataset, batch_date, state, count(*) AS files
FROM numbered
WHERE place = 1
GROUP BY dataset, batch_date, state
ORDER BY batch_date, dataset, state
