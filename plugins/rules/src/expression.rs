use tiny_forge_plugin::Value;

/// The part of CEL that a rule may use, ready to be evaluated.
#[derive(Debug)]
pub(crate) enum Expression {
    /// A literal, or a list of literals.
    Literal(Value),
    Envelope(Envelope),
    Payload,
    Annotations,
    Field(Box<Self>, String),
    Item(Box<Self>, usize),
    /// Whether a field is there.
    Has(Box<Self>),
    Not(Box<Self>),
    And(Box<Self>, Box<Self>),
    Or(Box<Self>, Box<Self>),
    Compare(Comparison, Box<Self>, Box<Self>),
    /// An item of a list, or a key of an object.
    In(Box<Self>, Box<Self>),
    Text(TextTest, Box<Self>, Box<Self>),
    Size(Box<Self>),
}

/// What every event has.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Envelope {
    Type,
    Severity,
    Subject,
    Project,
    Stage,
    Instance,
    Node,
    Actor,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum TextTest {
    StartsWith,
    EndsWith,
    Contains,
}

/// What an expression comes to, as far as that can be said without an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Truth,
    Text,
    Severity,
    Number,
    List,
    Object,
    /// A field: the event decides.
    Open,
}

impl Kind {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Truth => "a truth",
            Self::Text => "a text",
            Self::Severity => "a severity",
            Self::Number => "a number",
            Self::List => "a list",
            Self::Object => "an object",
            Self::Open => "a field",
        }
    }
}

impl Expression {
    pub(crate) const fn kind(&self) -> Kind {
        match self {
            Self::Literal(Value::Bool(_))
            | Self::Has(_)
            | Self::Not(_)
            | Self::And(..)
            | Self::Or(..)
            | Self::Compare(..)
            | Self::In(..)
            | Self::Text(..) => Kind::Truth,
            Self::Literal(Value::String(_)) => Kind::Text,
            Self::Literal(Value::Number(_)) | Self::Size(_) => Kind::Number,
            Self::Literal(Value::Array(_)) => Kind::List,
            Self::Literal(Value::Object(_)) | Self::Payload | Self::Annotations => Kind::Object,
            Self::Envelope(Envelope::Severity) => Kind::Severity,
            Self::Envelope(_) => Kind::Text,
            Self::Literal(Value::Null) | Self::Field(..) | Self::Item(..) => Kind::Open,
        }
    }
}
