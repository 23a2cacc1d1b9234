//! ClickHouse: endpoint, migrations, the row and its encoding.

pub mod row;
