//! By-value setters of settings.

/// Writes a setter for each field: `timeout: Duration` takes the field's own value, `name: impl Into<String> => Some(name.into())` makes it.
macro_rules! setters {
    ($owner:ident { $($name:ident: $type:ty $(=> $value:expr)?,)* }) => {
        impl $owner {
            $(
                #[doc = concat!("Sets [`", stringify!($name), "`](field@Self::", stringify!($name), ").")]
                #[must_use]
                pub fn $name(mut self, $name: $type) -> Self {
                    self.$name = setters!(@value $name $(, $value)?);
                    self
                }
            )*
        }
    };
    (@value $name:ident) => { $name };
    (@value $name:ident, $value:expr) => { $value };
}
