-- the lock of a target
SELECT sleep(0.1) FROM system.numbers;

-- the database
CREATE DATABASE IF NOT EXISTS `ana``lytics`;

-- what killed loads left
SELECT name FROM system.tables WHERE database = 'ana`lytics' AND (startsWith(name, '_arus_new_b68852b433d3d687') OR name = '_arus_old_b68852b433d3d687') ORDER BY name;

-- the shadow of a table with a key
CREATE TABLE `ana``lytics`.`_arus_new_0123456789abcdef_cafe`
(
    `id` Int64,
    `code` String COMMENT 'arus:{"kind":"text","length":3,"fixed":true}',
    `c_bool` Nullable(Bool),
    `c_int8` Nullable(Int8),
    `c_int16` Nullable(Int16),
    `c_int32` Nullable(Int32),
    `c_int64` Nullable(Int64),
    `c_uint8` Nullable(UInt8),
    `c_uint16` Nullable(UInt16),
    `c_uint32` Nullable(UInt32),
    `c_uint64` Nullable(UInt64),
    `c_float32` Nullable(Float32),
    `c_float64` Nullable(Float64),
    `c_decimal9` Nullable(Decimal(9, 2)),
    `c_decimal18` Nullable(Decimal(18, 6)),
    `c_decimal38` Nullable(Decimal(38, 10)),
    `c_decimal38_0` Nullable(Decimal(38, 0)),
    `c_decimal38_38` Nullable(Decimal(38, 38)),
    `c_decimal76` Nullable(Decimal(76, 20)),
    `c_numeric` Nullable(String) COMMENT 'arus:{"kind":"numeric"}',
    `c_text` Nullable(String),
    `c_varchar` Nullable(String) COMMENT 'arus:{"kind":"text","length":40}',
    `c_char` LowCardinality(Nullable(String)) COMMENT 'arus:{"kind":"text","length":2,"fixed":true}',
    `c_bytes` Nullable(String) COMMENT 'arus:{"kind":"bytes"}',
    `c_date` Nullable(Date32),
    `c_time` Nullable(String) COMMENT 'arus:{"kind":"time","precision":6}',
    `c_span` Nullable(String) COMMENT 'arus:{"kind":"time","wide":true}',
    `c_timestamp` Nullable(DateTime64(6, 'UTC')) COMMENT 'arus:{"kind":"timestamp","precision":6}',
    `c_timestamptz` Nullable(DateTime64(6, 'UTC')),
    `c_interval` Nullable(String) COMMENT 'arus:{"kind":"interval"}',
    `c_uuid` Nullable(UUID),
    `c_json` Nullable(String) COMMENT 'arus:{"kind":"json"}',
    `c_jsonb` Nullable(String) COMMENT 'arus:{"kind":"json","parsed":true}',
    `c_enum` LowCardinality(Nullable(String)) COMMENT 'arus:{"kind":"enum","values":["a\'b","c\\\\d","é",""]}',
    `c_array` Nullable(String) COMMENT 'arus:{"kind":"array","elem":{"kind":"int32"}}',
    `strict ``name\\` DateTime64(6, 'UTC') COMMENT 'arus:{"kind":"timestamp"}',
    `_arus_run_id` UUID,
    `_arus_synced_at` DateTime64(6, 'UTC'),
    `_arus_version` UInt64 CODEC(Delta, LZ4),
    `_arus_gone` UInt8 DEFAULT 0
)
ENGINE = ReplacingMergeTree(_arus_version, _arus_gone)
ORDER BY (`id`, `code`);

-- the shadow of a table without one
CREATE TABLE `ana``lytics`.`_arus_new_0123456789abcdef_cafe`
(
    `id` Int64,
    `_arus_run_id` UUID,
    `_arus_synced_at` DateTime64(6, 'UTC')
)
ENGINE = MergeTree()
ORDER BY tuple();

-- rows to be merged
CREATE TABLE `ana``lytics`.`_arus_new_0123456789abcdef_cafe` AS `ana``lytics`.`orders`;

-- where their versions begin
SELECT max(`_arus_version`) FROM `ana``lytics`.`orders`;

-- the rows
INSERT INTO `ana\x60lytics`.`_arus_new_0123456789abcdef_cafe`(`id`, `strict\x20\x60name\x5c`) FORMAT Native;

-- the partitions that they are in
SELECT DISTINCT partition_id FROM system.parts WHERE active AND database = 'ana`lytics' AND table = '_arus_new_0123456789abcdef_cafe' ORDER BY partition_id;

-- the merge
ALTER TABLE `ana``lytics`.`orders` ATTACH PARTITION ID 'all' FROM `ana``lytics`.`_arus_new_0123456789abcdef_cafe`;

-- a table that replaces a window
CREATE TABLE `ana``lytics`.`_arus_new_0123456789abcdef_cafe` AS `ana``lytics`.`orders`;

-- what the window leaves, by a column of type DateTime64(6, 'UTC')
INSERT INTO `ana``lytics`.`_arus_new_0123456789abcdef_cafe` (`id`, `at`) SELECT `id`, `at` FROM `ana``lytics`.`orders` WHERE NOT ifNull((toUnixTimestamp64Micro(`at`) >= 1704164645500000 AND toUnixTimestamp64Micro(`at`) <= 253402300800000000 OR isNull(`at`)), 0);

-- what the window leaves, by a column of type Int64
INSERT INTO `ana``lytics`.`_arus_new_0123456789abcdef_cafe` (`id`, `at`) SELECT `id`, `at` FROM `ana``lytics`.`orders` WHERE NOT ifNull((`at` >= -5 AND `at` <= 1234 OR isNull(`at`)), 0);

-- what the window leaves, by a column of type Decimal(18, 4)
INSERT INTO `ana``lytics`.`_arus_new_0123456789abcdef_cafe` (`id`, `at`) SELECT `id`, `at` FROM `ana``lytics`.`orders` WHERE NOT ifNull((`at` >= toDecimal128('-5', 0) AND `at` <= toDecimal128('1234.5000', 4) OR isNull(`at`)), 0);

-- the first swap
RENAME TABLE `ana``lytics`.`_arus_new_0123456789abcdef_cafe` TO `ana``lytics`.`orders`;

-- a later swap
EXCHANGE TABLES `ana``lytics`.`_arus_new_0123456789abcdef_cafe` AND `ana``lytics`.`orders`;

-- the displaced table
DROP TABLE IF EXISTS `ana``lytics`.`_arus_new_0123456789abcdef_cafe` SETTINGS max_table_size_to_drop = 0;

-- the view of current rows
CREATE VIEW `ana``lytics`.`orders_current` AS SELECT `id`, `code` FROM `ana``lytics`.`orders` FINAL WHERE `_arus_gone` = 0;

-- whether an older one hides deleted rows
SELECT create_table_query FROM system.tables WHERE database = 'ana`lytics' AND name = 'orders_current';

-- the same without a key
CREATE VIEW `ana``lytics`.`orders_current` AS SELECT `id` FROM `ana``lytics`.`orders`;

-- a view that is out of date
DROP TABLE IF EXISTS `ana``lytics`.`orders_current`;

-- the staging table
CREATE TABLE IF NOT EXISTS `staging`.`shop_orders_raw`
(
    `_arus_id` UInt64,
    `_arus_run_id` UUID,
    `_arus_extracted` DateTime64(6, 'UTC'),
    `_data` String
)
ENGINE = MergeTree()
ORDER BY `_arus_id`;

-- mending half a swap
RENAME TABLE `ana``lytics`.`_arus_old_b68852b433d3d687` TO `ana``lytics`.`orders`;

-- ending a cancelled query
KILL QUERY WHERE query_id = 'arus-1' ASYNC;

-- keys
CREATE TABLE `a`.`keys`
(
    `id` Int64,
    `code` Int64
)
ENGINE = MergeTree()
ORDER BY (`id`, `code`);

-- the keys that did not come
INSERT INTO `a`.`gone` (`id`, `code`) SELECT `id`, `code` FROM `ana``lytics`.`orders` FINAL WHERE (`id`, `code`) NOT IN (SELECT `id`, `code` FROM `a`.`keys`) AND `_arus_gone` = 0;

-- the same of many keys
INSERT INTO `a`.`gone` (`id`, `code`) SELECT `id`, `code` FROM `ana``lytics`.`orders` FINAL WHERE cityHash64(toString(`id`), toString(`code`)) % 3 = 2 AND (`id`, `code`) NOT IN (SELECT `id`, `code` FROM `a`.`keys` WHERE cityHash64(toString(`id`), toString(`code`)) % 3 = 2) AND `_arus_gone` = 0;

-- their last versions
INSERT INTO `a`.`versions` (`id`, `code`, `_arus_deleted_at`, `_arus_run_id`, `_arus_synced_at`, `_arus_version`, `_arus_gone`) SELECT `id`, `code`, `_arus_deleted_at`, toUUID('00000000-0000-0000-0000-000000000000'), toDateTime64('2026-01-02 03:04:05.000006', 6, 'UTC'), toUInt64(42), 1 FROM `ana``lytics`.`orders` FINAL WHERE (`id`, `code`) IN (SELECT `id`, `code` FROM `a`.`gone`) AND `_arus_gone` = 0;

-- the keys that came
INSERT INTO `a`.`gone` (`id`, `code`) SELECT `id`, `code` FROM `ana``lytics`.`orders` FINAL WHERE (`id`, `code`) IN (SELECT `id`, `code` FROM `a`.`keys`) AND `_arus_gone` = 0;

-- the keys to mark
INSERT INTO `a`.`gone` (`id`, `code`) SELECT `id`, `code` FROM `ana``lytics`.`orders` FINAL WHERE (`id`, `code`) NOT IN (SELECT `id`, `code` FROM `a`.`keys`) AND isNull(`_arus_deleted_at`) AND `_arus_gone` = 0;

-- the marked versions
INSERT INTO `a`.`versions` (`id`, `code`, `_arus_deleted_at`, `_arus_run_id`, `_arus_synced_at`, `_arus_version`, `_arus_gone`) SELECT `id`, `code`, toDateTime64('2026-01-02 03:04:05.000006', 6, 'UTC'), `_arus_run_id`, `_arus_synced_at`, toUInt64(42), 0 FROM `ana``lytics`.`orders` FINAL WHERE cityHash64(toString(`id`), toString(`code`)) % 3 = 2 AND (`id`, `code`) IN (SELECT `id`, `code` FROM `a`.`gone` WHERE cityHash64(toString(`id`), toString(`code`)) % 3 = 2) AND `_arus_gone` = 0;

-- a column that is added and one that is widened
ALTER TABLE `ana``lytics`.`orders` ADD COLUMN `n` Nullable(Int64), MODIFY COLUMN `m` Int64, COMMENT COLUMN `m` 'arus:{}';

-- their keys
CREATE TABLE `ana``lytics`.`_arus_new_0123456789abcdef_cafe`
(
    `id` Int64,
    `_arus_id` UInt64
)
ENGINE = ReplacingMergeTree(_arus_id)
ORDER BY (`id`);

-- the staging rows that stay
INSERT INTO `ana``lytics`.`_arus_new_0123456789abcdef_cafe` (`_arus_id`, `_data`) SELECT `_arus_id`, `_data` FROM `staging`.`shop_orders_raw` WHERE NOT ifNull(toUnixTimestamp64Micro(`_arus_extracted`) < 1767323045000006 AND `_arus_id` < 17 AND `_arus_id` NOT IN (SELECT `_arus_id` FROM `ana``lytics`.`_arus_new_0123456789abcdef_cafe` FINAL), 0);

