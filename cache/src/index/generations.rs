//! Tables that forget what was not used for long: each is two generations, and the older is dropped whole.
//!
//! Values are written to the current generation. When that is full it becomes the older one, and the one that was
//! older is deleted. What is read from the older is written again, so that what is in use stays. This needs no order
//! of use on disk, and no pass over the entries.

use std::sync::Arc;

use redb::{
    Database, ReadTransaction, ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition,
    TableError, TableHandle, WriteTransaction,
};

use crate::Beginning;

/// One table of the index.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Table {
    /// Its name, unique in the index.
    pub(crate) name: &'static str,
    /// How many of the last entries are kept at least; at most it is twice as many.
    pub(crate) entries: u64,
}

/// A value that was found.
pub(super) struct Hit {
    pub(super) age: Age,
    pub(super) value: Arc<[u8]>,
}

/// Which generation an entry is in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Age {
    /// The one that is written.
    Current,
    /// The one that is deleted next.
    Older,
}

/// The layout of the tables. Another number is another layout.
pub(super) const FORMAT: u64 = 1;

/// The layout's number, and the number of each table's current generation.
const ROOT: TableDefinition<'static, &str, u64> = TableDefinition::new("root");

/// The key of [`FORMAT`]. No table has an empty name.
const FORMAT_KEY: &str = "";

type Entries<'a> = TableDefinition<'a, &'static [u8], &'static [u8]>;

/// What the file says its layout is. A new file is given ours.
pub(super) fn format(database: &Database) -> Result<u64, redb::Error> {
    let transaction = database.begin_write()?;
    let found = {
        let mut root = transaction.open_table(ROOT)?;
        let found = root.get(FORMAT_KEY)?.map(|format| format.value());
        if found.is_none() {
            root.insert(FORMAT_KEY, FORMAT)?;
        }
        found
    };
    match found {
        Some(_) => transaction.abort()?,
        None => transaction.commit()?,
    }
    Ok(found.unwrap_or(FORMAT))
}

/// The names of all tables.
pub(super) fn tables(database: &Database) -> Result<Vec<String>, redb::Error> {
    let all = database.begin_read()?;
    let mut names: Vec<String> =
        all.list_tables()?.filter_map(|table| Some(table.name().rsplit_once('.')?.0.to_owned())).collect();
    names.sort();
    names.dedup();
    Ok(names)
}

impl Table {
    /// The value of this key, and where it was.
    pub(super) fn find(self, database: &Database, key: &[u8]) -> Result<Option<Hit>, redb::Error> {
        let transaction = database.begin_read()?;
        for (age, name) in self.generations(&transaction)? {
            match transaction.open_table(Entries::new(&name)) {
                Ok(entries) => {
                    if let Some(value) = entries.get(key)? {
                        return Ok(Some(Hit { age, value: value.value().into() }));
                    }
                }
                Err(TableError::TableDoesNotExist(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }

    /// The keys that begin so, of both generations.
    pub(super) fn keys_under(
        self,
        database: &Database,
        beginning: &Beginning,
    ) -> Result<Vec<Arc<[u8]>>, redb::Error> {
        let transaction = database.begin_read()?;
        let mut keys = Vec::new();
        for (_, name) in self.generations(&transaction)? {
            let entries = match transaction.open_table(Entries::new(&name)) {
                Ok(entries) => entries,
                Err(TableError::TableDoesNotExist(_)) => continue,
                Err(error) => return Err(error.into()),
            };
            let literal = beginning.literal();
            for entry in entries.range(literal..)? {
                let (key, _) = entry?;
                if !key.value().starts_with(literal) {
                    break;
                }
                if beginning.begins(key.value()) {
                    keys.push(key.value().into());
                }
            }
        }
        Ok(keys)
    }

    /// Writes one value, or removes it.
    pub(super) fn write(
        self,
        to: &WriteTransaction,
        key: &[u8],
        value: Option<&[u8]>,
    ) -> Result<(), redb::Error> {
        let mut root = to.open_table(ROOT)?;
        let current = root.get(self.name)?.map_or(0, |generation| generation.value());
        let name = self.generation(current);
        let older = current.checked_sub(1).map(|older| self.generation(older));
        let full = {
            let mut entries = to.open_table(Entries::new(&name))?;
            match value {
                Some(value) => drop(entries.insert(key, value)?),
                None => drop(entries.remove(key)?),
            }
            entries.len()? >= self.entries
        };
        if let (None, Some(older)) = (value, &older) {
            to.open_table(Entries::new(older))?.remove(key)?;
        }
        if full {
            if let Some(older) = &older {
                to.delete_table(Entries::new(older))?;
            }
            root.insert(self.name, current + 1)?;
        }
        Ok(())
    }

    /// The names of the tables to look into, the current one first.
    fn generations(self, transaction: &ReadTransaction) -> Result<Vec<(Age, String)>, redb::Error> {
        let root = transaction.open_table(ROOT)?;
        let current = root.get(self.name)?.map_or(0, |generation| generation.value());
        let older = current.checked_sub(1).map(|older| (Age::Older, self.generation(older)));
        Ok([(Age::Current, self.generation(current))].into_iter().chain(older).collect())
    }

    fn generation(self, number: u64) -> String {
        format!("{}.{number}", self.name)
    }
}

/// Says that the file has another layout.
#[cfg(test)]
pub(super) fn set_format(database: &Database, format: u64) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    transaction.open_table(ROOT)?.insert(FORMAT_KEY, format)?;
    transaction.commit()?;
    Ok(())
}
