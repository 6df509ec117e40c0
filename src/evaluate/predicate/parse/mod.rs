//! What does an expression mean?
//!
//! Recursive descent over tokens, into the compiled form. Everything is parsed
//! as a [`Node`] first, since `(` may open a condition as well as a value;
//! where one of the two is needed, it is demanded there. Size and nesting are
//! limited, which bounds the stack of parsing and of evaluating.

mod operand;

use crate::evaluate::predicate::{
    ExpressionError, date,
    form::{Condition, Operand, Relation},
    lex::{Placed, Token, lex},
    like::Like,
};
use crate::{
    limits::{EXPRESSION_BYTES_MAX, EXPRESSION_DEPTH_MAX, EXPRESSION_NODES_MAX},
    snapshot::BlockKey,
};

/// Finds the key of a block by its sid.
pub(super) type FindBlock<'a> = &'a dyn Fn(&str) -> Option<BlockKey>;

type Parsed<T> = Result<T, ExpressionError>;

/// A part of an expression, before it is known what it is used for.
enum Node {
    Condition(Condition),
    /// A value, and where it stands.
    Operand(Operand, usize),
}

struct Parser<'s> {
    source: &'s str,
    tokens: Vec<Placed<'s>>,
    at: usize,
    depth: usize,
    nodes: usize,
    /// None where block state may not be used.
    blocks: Option<FindBlock<'s>>,
}

/// Parses a whole expression.
pub(super) fn parse(source: &str, blocks: Option<FindBlock<'_>>) -> Parsed<Condition> {
    if source.len() > EXPRESSION_BYTES_MAX {
        return Err(ExpressionError {
            position: EXPRESSION_BYTES_MAX,
            message: format!(
                "found {} bytes, expected at most {EXPRESSION_BYTES_MAX}",
                source.len()
            ),
        });
    }
    let mut parser = Parser {
        source,
        tokens: lex(source)?,
        at: 0,
        depth: 0,
        nodes: 0,
        blocks,
    };
    let node = parser.disjunction()?;
    let condition = parser.condition(node)?;
    match parser.peek() {
        Token::End => Ok(condition),
        _ => Err(parser.unexpected("AND, OR or the end")),
    }
}

impl<'s> Parser<'s> {
    fn disjunction(&mut self) -> Parsed<Node> {
        self.chain("or", Self::conjunction, Condition::Any)
    }

    fn conjunction(&mut self) -> Parsed<Node> {
        self.chain("and", Self::negation, Condition::All)
    }

    /// Parts with the same keyword between them.
    fn chain(
        &mut self,
        keyword: &str,
        part: fn(&mut Self) -> Parsed<Node>,
        join: fn(Box<[Condition]>) -> Condition,
    ) -> Parsed<Node> {
        let first = part(self)?;
        if !self.is_word(keyword) {
            return Ok(first);
        }
        let mut parts = vec![self.condition(first)?];
        while self.take_word(keyword) {
            let next = part(self)?;
            parts.push(self.condition(next)?);
        }
        self.count()?;
        Ok(Node::Condition(join(parts.into())))
    }

    fn negation(&mut self) -> Parsed<Node> {
        if !self.is_word("not") {
            return self.comparison();
        }
        let mut negated = false;
        while self.take_word("not") {
            negated = !negated;
        }
        let node = self.comparison()?;
        let condition = self.condition(node)?;
        Ok(Node::Condition(negate_if(negated, condition)))
    }

    fn comparison(&mut self) -> Parsed<Node> {
        let left = self.sum()?;
        if let Token::Symbol(symbol) = self.peek()
            && let Some(relation) = relation(symbol)
        {
            self.at += 1;
            let (mut left, left_at) = self.operand(left)?;
            let right = self.sum()?;
            let (mut right, right_at) = self.operand(right)?;
            self.read_date_beside(&mut left, left_at, right.is_time())?;
            self.read_date_beside(&mut right, right_at, left.is_time())?;
            self.count()?;
            return Ok(Node::Condition(Condition::Compare(
                relation,
                Box::new([left, right]),
            )));
        }
        if self.take_word("is") {
            let negated = self.take_word("not");
            if !self.take_word("null") {
                return Err(self.unexpected(if negated { "NULL" } else { "NULL or NOT NULL" }));
            }
            let (operand, _) = self.operand(left)?;
            self.count()?;
            let condition = negate_if(negated, Condition::IsNull(operand));
            return Ok(Node::Condition(condition));
        }
        let negated = self.take_word("not");
        let condition = if self.take_word("in") {
            self.membership(left)?
        } else if self.take_word("like") {
            self.pattern(left)?
        } else if self.take_word("between") {
            self.range(left)?
        } else if negated {
            return Err(self.unexpected("IN, LIKE or BETWEEN"));
        } else {
            return Ok(left);
        };
        self.count()?;
        Ok(Node::Condition(negate_if(negated, condition)))
    }

    fn membership(&mut self, left: Node) -> Parsed<Condition> {
        let (operand, _) = self.operand(left)?;
        self.expect("(")?;
        let mut list = Vec::new();
        loop {
            let node = self.sum()?;
            let (mut one, at) = self.operand(node)?;
            self.read_date_beside(&mut one, at, operand.is_time())?;
            list.push(one);
            if !self.take(",") {
                break;
            }
        }
        self.expect(")")?;
        Ok(Condition::In(operand, list.into()))
    }

    fn pattern(&mut self, left: Node) -> Parsed<Condition> {
        let (operand, _) = self.operand(left)?;
        let Token::Text(pattern) = self.peek() else {
            return Err(self.unexpected("a pattern in single quotes"));
        };
        let like = Like::compile(pattern).map_err(|found| {
            let expected = "expected a pattern of text, %, _ and escapes";
            self.error_here(format!("found {found}, {expected}"))
        })?;
        self.at += 1;
        Ok(Condition::Like(operand, like))
    }

    fn range(&mut self, left: Node) -> Parsed<Condition> {
        let (mut middle, middle_at) = self.operand(left)?;
        let low = self.sum()?;
        let (mut low, low_at) = self.operand(low)?;
        if !self.take_word("and") {
            return Err(self.unexpected("AND and the upper end of BETWEEN"));
        }
        let high = self.sum()?;
        let (mut high, high_at) = self.operand(high)?;
        let ends_are_times = low.is_time() || high.is_time();
        self.read_date_beside(&mut middle, middle_at, ends_are_times)?;
        self.read_date_beside(&mut low, low_at, middle.is_time())?;
        self.read_date_beside(&mut high, high_at, middle.is_time())?;
        Ok(Condition::Between(Box::new([middle, low, high])))
    }

    /// A text written beside a date has to be one: otherwise the comparison
    /// could never hold, and nobody would notice.
    fn read_date_beside(&self, operand: &mut Operand, at: usize, beside: bool) -> Parsed<()> {
        if let Operand::Text(text) = operand
            && beside
        {
            *operand = Operand::Time(date::parse(text).ok_or_else(|| not_a_date(text, at))?);
        }
        Ok(())
    }

    /// Demands a condition: a value alone is one if it can be a boolean.
    fn condition(&mut self, node: Node) -> Parsed<Condition> {
        match node {
            Node::Condition(condition) => Ok(condition),
            Node::Operand(Operand::Condition(condition), _) => Ok(*condition),
            Node::Operand(
                operand @ (Operand::Boolean(_) | Operand::Property(..) | Operand::Block(..)),
                _,
            ) => {
                self.count()?;
                Ok(Condition::Truth(operand))
            }
            Node::Operand(..) => Err(self.unexpected("a comparison")),
        }
    }

    /// Demands a value: a condition is a boolean one.
    fn operand(&mut self, node: Node) -> Parsed<(Operand, usize)> {
        match node {
            Node::Operand(operand, at) => Ok((operand, at)),
            Node::Condition(condition) => {
                self.count()?;
                let at = self.position();
                Ok((Operand::Condition(Box::new(condition)), at))
            }
        }
    }

    fn peek(&self) -> &Token<'s> {
        // The parser never moves behind `End`, the last token.
        self.tokens
            .get(self.at)
            .map_or(&Token::End, |placed| &placed.token)
    }

    fn position(&self) -> usize {
        self.tokens
            .get(self.at)
            .map_or(self.source.len(), |placed| placed.start)
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Token::Word(found) if found.eq_ignore_ascii_case(word))
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        self.at += usize::from(found);
        found
    }

    fn take(&mut self, symbol: &str) -> bool {
        let found = matches!(self.peek(), Token::Symbol(found) if *found == symbol);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, symbol: &str) -> Parsed<()> {
        if self.take(symbol) {
            return Ok(());
        }
        Err(self.unexpected(symbol))
    }

    /// One more node, within the limit.
    fn count(&mut self) -> Parsed<()> {
        self.nodes += 1;
        if self.nodes <= EXPRESSION_NODES_MAX {
            return Ok(());
        }
        Err(self.error_here(format!(
            "found more than {EXPRESSION_NODES_MAX} values and operators, expected at most that many"
        )))
    }

    /// One level deeper, within the limit.
    fn deeper<T>(&mut self, inner: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth == EXPRESSION_DEPTH_MAX {
            return Err(self.error_here(format!(
                "found more than {EXPRESSION_DEPTH_MAX} levels of nesting, expected at most that many"
            )));
        }
        self.depth += 1;
        let parsed = inner(self);
        self.depth -= 1;
        parsed
    }

    fn unexpected(&self, expected: &str) -> ExpressionError {
        let found = match self.tokens.get(self.at) {
            None
            | Some(Placed {
                token: Token::End, ..
            }) => "the end".to_owned(),
            Some(placed) => {
                let text = &self.source[placed.start..placed.end];
                format!("`{}`", text.chars().take(40).collect::<String>())
            }
        };
        self.error_here(format!("found {found}, expected {expected}"))
    }

    fn error_here(&self, message: String) -> ExpressionError {
        ExpressionError {
            position: self.position(),
            message,
        }
    }
}

fn negate_if(negated: bool, condition: Condition) -> Condition {
    if negated {
        Condition::Not(Box::new(condition))
    } else {
        condition
    }
}

fn relation(symbol: &str) -> Option<Relation> {
    Some(match symbol {
        "=" | "==" => Relation::Equal,
        "!=" | "<>" => Relation::NotEqual,
        "<" => Relation::Less,
        "<=" => Relation::LessOrEqual,
        ">" => Relation::Greater,
        ">=" => Relation::GreaterOrEqual,
        _ => return None,
    })
}

fn not_a_date(text: &str, position: usize) -> ExpressionError {
    ExpressionError {
        position,
        message: format!(
            "found {text:?} beside a date, expected a date such as '2026-01-31T09:30:00Z'"
        ),
    }
}
