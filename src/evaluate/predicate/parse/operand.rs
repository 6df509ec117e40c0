//! Which values can an expression name?
//!
//! Literals, properties, block state, functions, and dates moved by durations.

use super::{Node, Parsed, Parser};
use crate::evaluate::predicate::{
    ExpressionError,
    form::{Attribute, BlockAspect, Condition, Descent, Operand, PropertyPath, Root, TextTest},
    lex::Token,
    value::Number,
};

impl<'s> Parser<'s> {
    /// A value, possibly moved by durations.
    pub(super) fn sum(&mut self) -> Parsed<Node> {
        let node = self.primary()?;
        let mut shift_ms: Option<i64> = None;
        loop {
            let sign = match self.peek() {
                Token::Symbol("+") => 1,
                Token::Symbol("-") => -1,
                _ => break,
            };
            self.at += 1;
            let Token::Duration(ms) = *self.peek() else {
                return Err(self.unexpected("a duration such as 7d"));
            };
            self.at += 1;
            shift_ms = Some(shift_ms.unwrap_or(0).saturating_add(sign * ms));
        }
        let Some(shift_ms) = shift_ms else {
            return Ok(node);
        };
        let (mut operand, at) = self.operand(node)?;
        self.read_date_beside(&mut operand, at, true)?;
        if !operand.is_time() && !matches!(operand, Operand::Property(..)) {
            return Err(ExpressionError {
                position: at,
                message:
                    "found a value that is no date before a duration, expected now(), createdAt, \
                          updatedAt, a property or a date"
                        .to_owned(),
            });
        }
        self.count()?;
        Ok(Node::Operand(
            Operand::Shifted(Box::new(operand), shift_ms),
            at,
        ))
    }

    fn primary(&mut self) -> Parsed<Node> {
        self.count()?;
        let at = self.position();
        let operand = match self.peek().clone() {
            Token::Number(number) => self.literal(Operand::Number(number)),
            Token::Text(text) => self.literal(Operand::Text(text)),
            Token::Symbol("-") => return self.negative(at),
            Token::Symbol("(") => {
                self.at += 1;
                let node = self.deeper(Self::disjunction)?;
                self.expect(")")?;
                return Ok(node);
            }
            Token::Word(word) => return self.word(word, at),
            Token::Name(_) => {
                return Err(self.unexpected("a value (texts stand in single quotes)"));
            }
            _ => return Err(self.unexpected("a value")),
        };
        Ok(Node::Operand(operand, at))
    }

    fn literal(&mut self, operand: Operand) -> Operand {
        self.at += 1;
        operand
    }

    fn negative(&mut self, at: usize) -> Parsed<Node> {
        self.at += 1;
        let number = match self.peek() {
            Token::Number(Number::Whole(whole)) => Number::Whole(-whole),
            Token::Number(Number::Float(float)) => Number::Float(-float),
            _ => return Err(self.unexpected("a number")),
        };
        self.at += 1;
        Ok(Node::Operand(Operand::Number(number), at))
    }

    fn word(&mut self, word: &'s str, at: usize) -> Parsed<Node> {
        let operand = match word {
            "user" => self.subject(Root::User)?,
            "group" => self.subject(Root::Group)?,
            "blocks" => self.block()?,
            _ => match word.to_ascii_lowercase().as_str() {
                "true" => self.literal(Operand::Boolean(true)),
                "false" => self.literal(Operand::Boolean(false)),
                "null" => self.literal(Operand::Null),
                function => return self.function(function, at),
            },
        };
        Ok(Node::Operand(operand, at))
    }

    fn function(&mut self, name: &str, at: usize) -> Parsed<Node> {
        let condition = |test: TextTest| move |operands| Condition::Text(test, operands);
        match name {
            "now" => {
                self.open()?;
                self.expect(")")?;
                Ok(Node::Operand(Operand::Now, at))
            }
            "lower" => self.one_argument(at, Operand::Lower),
            "length" => self.one_argument(at, Operand::Length),
            "includes" => self.two_arguments(Condition::Includes),
            "startswith" => self.two_arguments(condition(TextTest::Starts)),
            "endswith" => self.two_arguments(condition(TextTest::Ends)),
            "contains" => self.two_arguments(condition(TextTest::Contains)),
            _ => Err(self.unexpected(
                "a value (properties are written user.properties.name; functions are includes, \
                 startsWith, endsWith, contains, lower, length, now)",
            )),
        }
    }

    fn open(&mut self) -> Parsed<()> {
        self.at += 1;
        self.expect("(")
    }

    fn one_argument(&mut self, at: usize, make: fn(Box<Operand>) -> Operand) -> Parsed<Node> {
        self.open()?;
        let node = self.deeper(Self::sum)?;
        let (argument, _) = self.operand(node)?;
        self.expect(")")?;
        Ok(Node::Operand(make(Box::new(argument)), at))
    }

    fn two_arguments(&mut self, make: impl FnOnce(Box<[Operand; 2]>) -> Condition) -> Parsed<Node> {
        self.open()?;
        let node = self.deeper(Self::sum)?;
        let (first, _) = self.operand(node)?;
        self.expect(",")?;
        let node = self.deeper(Self::sum)?;
        let (second, _) = self.operand(node)?;
        self.expect(")")?;
        Ok(Node::Condition(make(Box::new([first, second]))))
    }

    /// Behind `user` or `group`.
    fn subject(&mut self, root: Root) -> Parsed<Operand> {
        self.at += 1;
        self.expect(".")?;
        let attribute = match self.peek() {
            Token::Word("identifier") => Attribute::Identifier,
            Token::Word("createdAt") => Attribute::CreatedAt,
            Token::Word("updatedAt") => Attribute::UpdatedAt,
            Token::Word("properties") => {
                self.at += 1;
                return self.property(root);
            }
            _ => {
                return Err(self.unexpected("identifier, createdAt, updatedAt or properties"));
            }
        };
        self.at += 1;
        Ok(Operand::Attribute(root, attribute))
    }

    fn property(&mut self, root: Root) -> Parsed<Operand> {
        let Some(name) = self.member()? else {
            return Err(self.unexpected("the name of a property"));
        };
        let mut deeper = Vec::new();
        loop {
            if let Some(member) = self.member()? {
                self.count()?;
                deeper.push(Descent::Member(member));
            } else if self.take("[") {
                self.count()?;
                deeper.push(Descent::Element(self.element()?));
            } else {
                break;
            }
        }
        Ok(Operand::Property(
            root,
            PropertyPath {
                name,
                deeper: deeper.into(),
            },
        ))
    }

    /// `.name` or `["name"]`; none where neither follows.
    fn member(&mut self) -> Parsed<Option<Box<str>>> {
        if self.take(".") {
            let Token::Word(name) = *self.peek() else {
                return Err(self.unexpected("a name (others stand in brackets: [\"a name\"])"));
            };
            self.at += 1;
            return Ok(Some(name.into()));
        }
        let opens = matches!(self.peek(), Token::Symbol("["));
        let named = self.tokens.get(self.at + 1).map(|placed| &placed.token);
        let (true, Some(Token::Name(name) | Token::Text(name))) = (opens, named) else {
            return Ok(None);
        };
        let name = name.clone();
        self.at += 2;
        self.expect("]")?;
        Ok(Some(name))
    }

    fn element(&mut self) -> Parsed<usize> {
        let place = match self.peek() {
            Token::Number(Number::Whole(whole)) => usize::try_from(*whole).ok(),
            _ => None,
        };
        let Some(place) = place else {
            return Err(self.unexpected("a name in quotes, or a number from 0"));
        };
        self.at += 1;
        self.expect("]")?;
        Ok(place)
    }

    /// Behind `blocks`.
    fn block(&mut self) -> Parsed<Operand> {
        let Some(find) = self.blocks else {
            return Err(self.unexpected("user or group (block state can be used in branches only)"));
        };
        self.at += 1;
        let at = self.position();
        let Some(sid) = self.member()? else {
            return Err(self.unexpected("the sid of a block in brackets"));
        };
        let Some(key) = find(&sid) else {
            return Err(ExpressionError {
                position: at,
                message: format!(
                    "found the block {sid:?}, expected the sid of a block of this version"
                ),
            });
        };
        self.expect(".")?;
        let aspect = match self.peek() {
            Token::Word("active") => BlockAspect::Active,
            Token::Word("entered") => BlockAspect::Entered,
            Token::Word("exited") => BlockAspect::Exited,
            _ => return Err(self.unexpected("active, entered or exited")),
        };
        self.at += 1;
        Ok(Operand::Block(key, aspect))
    }
}
