-- What became of the rows that landed, a line for each fate of a dataset's batch date.
-- A content counts as its newest receipt says; those replaced or withdrawn count for nothing.
WITH numbered AS (
    SELECT
        dataset,
        batch_date,
        published,
        superseded,
        duplicates,
        rejected,
        held,
        row_number() OVER (
            PARTITION BY dataset, batch_date, file, digest ORDER BY seq DESC
        ) AS place
    FROM ledger.receipts
),
fates AS (
    SELECT dataset, batch_date, 'published' AS fate, published AS fate_rows, 1 AS usable
    FROM numbered
    WHERE place = 1
    UNION ALL
    SELECT dataset, batch_date, 'superseded' AS fate, superseded AS fate_rows, 1 AS usable
    FROM numbered
    WHERE place = 1
    UNION ALL
    SELECT dataset, batch_date, 'duplicate' AS fate, duplicates AS fate_rows, 1 AS usable
    FROM numbered
    WHERE place = 1
    UNION ALL
    SELECT dataset, batch_date, 'rejected' AS fate, rejected AS fate_rows, 0 AS usable
    FROM numbered
    WHERE place = 1
    UNION ALL
    SELECT dataset, batch_date, 'held' AS fate, held AS fate_rows, 0 AS usable
    FROM numbered
    WHERE place = 1
)
SELECT
    dataset,
    batch_date,
    fate,
    sum(fate_rows) AS fate_rows,
    sum(fate_rows * usable) AS usable_rows,
    sum(fate_rows * (1 - usable)) AS missing_rows
FROM fates
GROUP BY dataset, batch_date, fate
HAVING sum(fate_rows) > 0
ORDER BY batch_date, dataset, fate
