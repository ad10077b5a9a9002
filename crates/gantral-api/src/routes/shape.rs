//! A wire type, by its schema.

use core::fmt;
use std::borrow::Cow;

use utoipa::ToSchema;
use utoipa::openapi::{Ref, RefOr, Schema};

type Named = (String, RefOr<Schema>);

/// The schema of one wire type: its name, and how to collect it with everything that it refers to.
#[derive(Clone, Copy)]
pub struct Shape {
    name: fn() -> Cow<'static, str>,
    collect: fn(&mut Vec<Named>),
}

fn collect<T: ToSchema>(out: &mut Vec<Named>) {
    out.push((T::name().into_owned(), T::schema()));
    T::schemas(out);
}

impl Shape {
    /// Returns the shape of a type.
    pub const fn of<T: ToSchema>() -> Self {
        Self { name: T::name, collect: collect::<T> }
    }

    /// Returns the name of its component.
    pub fn name(&self) -> Cow<'static, str> {
        (self.name)()
    }

    /// Returns a reference to its component.
    pub fn reference(&self) -> Ref {
        Ref::from_schema_name(self.name())
    }

    /// Adds its schema and all that it refers to.
    pub fn collect(&self, out: &mut Vec<(String, RefOr<Schema>)>) {
        (self.collect)(out);
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Shape({})", self.name())
    }
}
