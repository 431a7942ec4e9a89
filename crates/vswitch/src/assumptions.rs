//! Undocumented behaviour of VFP, as data: each choice with its alternatives and its evidence. A result of the model is the range of results
//! over all combinations, or over the alternatives of each choice alone.

use std::fmt;

/// The evidence for an alternative, with its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// Microsoft's documentation, papers or scripts.
    Documented(&'static str),
    /// Observed on real nodes, in issues and logs.
    Field(&'static str),
    /// Assumed, without evidence.
    Assumed,
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Documented(source) => write!(f, "documented: {source}"),
            Self::Field(source) => write!(f, "seen on nodes: {source}"),
            Self::Assumed => f.write_str("assumed"),
        }
    }
}

/// One alternative of a choice, for tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alternative {
    /// The question that the choice answers.
    pub question: &'static str,
    /// The answer.
    pub answer: &'static str,
    /// The evidence for the answer.
    pub evidence: Evidence,
    /// Whether [`Assumptions::default`] has it.
    pub is_default: bool,
}

/// Defines the choices: the first alternative is the default.
macro_rules! choices {
    ($(
        $field:ident: $choice:ident, $question:literal {
            $first:ident: $first_answer:literal, $first_evidence:ident $(($first_source:literal))?;
            $($alternative:ident: $answer:literal, $evidence:ident $(($source:literal))?;)*
        }
    )*) => {
        $(
            #[doc = $question]
            #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
            pub enum $choice {
                #[default]
                #[doc = $first_answer]
                $first,
                $(#[doc = $answer] $alternative,)*
            }

            impl $choice {
                /// All alternatives; the first one is the default.
                pub const ALL: &'static [Self] = &[Self::$first $(, Self::$alternative)*];

                /// The answer to the question of the choice.
                pub fn answer(self) -> &'static str {
                    match self {
                        Self::$first => $first_answer,
                        $(Self::$alternative => $answer,)*
                    }
                }

                /// The evidence for this alternative.
                pub fn evidence(self) -> Evidence {
                    match self {
                        Self::$first => Evidence::$first_evidence $(($first_source))?,
                        $(Self::$alternative => Evidence::$evidence $(($source))?,)*
                    }
                }
            }


            impl fmt::Display for $choice {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str(self.answer())
                }
            }
        )*

        /// One alternative of each choice.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
        pub struct Assumptions {
            $(#[doc = $question] pub $field: $choice,)*
        }

        impl Assumptions {
            /// All combinations of all alternatives.
            pub fn all() -> Vec<Self> {
                let mut all = vec![Self::default()];
                $(
                    all = all
                        .into_iter()
                        .flat_map(|assumptions| $choice::ALL.iter().map(move |&$field| Self { $field, ..assumptions }))
                        .collect();
                )*
                all
            }

            /// The default, and each combination that differs from it in one choice.
            pub fn variations() -> Vec<Self> {
                let mut variations = vec![Self::default()];
                $(
                    let others = $choice::ALL.iter().skip(1);
                    variations.extend(others.map(|&$field| Self { $field, ..Self::default() }));
                )*
                variations
            }

            /// All alternatives, in the order of the choices.
            pub fn alternatives() -> Vec<Alternative> {
                let mut alternatives = Vec::new();
                $(
                    alternatives.extend($choice::ALL.iter().map(|choice| Alternative {
                        question: $question,
                        answer: choice.answer(),
                        evidence: choice.evidence(),
                        is_default: *choice == $choice::default(),
                    }));
                )*
                alternatives
            }
        }

        impl fmt::Display for Assumptions {
            /// The choices that differ from the default, or `default`.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut separator = "";
                $(
                    if self.$field != $choice::default() {
                        write!(f, "{separator}{}={:?}", stringify!($field), self.$field)?;
                        separator = " ";
                    }
                )*
                if separator.is_empty() { f.write_str("default") } else { Ok(()) }
            }
        }
    };
}

choices! {
    selection: Selection, "How does a load balancer select the backend of a new flow?" {
        Modulo: "hash of the addresses, modulo the number of backends", Assumed;
        Rendezvous: "the backend with the highest hash of the addresses and the backend", Assumed;
    }
    order: BackendOrder, "In which order does a modulo selection number the backends?" {
        Written: "as the load balancer lists its endpoints", Assumed;
        Sorted: "by address", Assumed;
    }
    modification: Modification, "Does a flow stay on its backend when its load balancer is modified and keeps the backend?" {
        Stays: "it stays", Assumed;
        Rehashed: "its backend is selected again", Assumed;
    }
    recreation: Recreation, "Does a flow stay on its backend when its load balancer is deleted and created again with the backend?" {
        Rehashed: "its backend is selected again", Field("kubernetes 113842");
        Stays: "it stays", Assumed;
    }
    removed_backend: RemovedBackend, "What happens to a flow whose backend was removed from its load balancer?" {
        Rehashed: "its backend is selected again", Assumed;
        Stays: "it stays, as long as the backend has a port", Assumed;
        Drops: "its packets are dropped", Assumed;
    }
    external_flag: ExternalFlag, "What does flag 16 of a port mapping (`IsVipExternalIp`) change?" {
        Keeps: "flows stay on their backend when backends change", Field("kubernetes 113742");
        Ignored: "nothing", Assumed;
    }
    gap: Gap, "What happens to packets of a frontend whose load balancer was deleted?" {
        Drop: "they are dropped", Field("kubernetes 113841");
        Reset: "a TCP client gets a reset", Assumed;
    }
    service_down: ServiceDown, "What happens to the rules while the HNS service is stopped?" {
        RulesStay: "they stay", Assumed;
        RulesLost: "they are removed, and come back with the service", Assumed;
    }
    node_port: NodePortAddresses, "On which addresses of the node is a load balancer without a VIP reachable?" {
        All: "on all", Documented("HCN schema: HostComputeLoadBalancer");
        Management: "on the first one, the management address", Documented("microsoft/SDN networkhealth.ps1");
    }
    removed_endpoint: RemovedEndpoint, "What happens to the share of a backend whose endpoint is deleted while a load balancer has it?" {
        KeepsShare: "the backend keeps its share, and its packets are lost", Field("kubernetes 112836");
        LeavesRule: "the other backends get its share", Assumed;
    }
    reply_conflict: ReplyConflict, "What happens to a new flow whose replies would have the addresses of another flow's replies?" {
        NewestWins: "it replaces the other flow", Assumed;
        OldestWins: "its packets are dropped", Assumed;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn all_combinations_are_different_and_contain_the_variations() {
        let all = Assumptions::all();
        let set: HashSet<_> = all.iter().copied().collect();
        assert_eq!(set.len(), all.len());
        assert_eq!(all.len(), 2 * 2 * 2 * 2 * 3 * 2 * 2 * 2 * 2 * 2 * 2);
        assert!(Assumptions::variations().iter().all(|variation| set.contains(variation)));
    }

    #[test]
    fn a_combination_is_shown_by_what_differs_from_the_default() {
        let shown: Vec<_> = Assumptions::variations().iter().take(2).map(ToString::to_string).collect();
        assert_eq!(shown, ["default", "selection=Rendezvous"]);
        let two = Assumptions { gap: Gap::Reset, selection: Selection::Rendezvous, ..Assumptions::default() };
        assert_eq!(two.to_string(), "selection=Rendezvous gap=Reset");
    }
}
