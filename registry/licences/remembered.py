"""Verdicts that were given before: the same artefacts, use and circumstances get the same answer at once."""

from collections import OrderedDict
from collections.abc import Sequence

from policy.uses import IntendedUse
from policy.verdicts import Verdict
from registry.licences.circumstances import ORDINARY, Circumstances
from registry.licences.claims import LicensedComponent
from registry.licences.evaluation import evaluate
from registry.licences.identity import TermsById

Question = tuple[tuple[LicensedComponent, ...], IntendedUse, Circumstances]


class RememberedVerdicts:
    """The latest verdicts under one set of terms; a question is everything that the answer depends on."""

    def __init__(self, terms: TermsById, most: int = 4096) -> None:
        self._terms = terms
        self._most = most
        self._known: OrderedDict[Question, Verdict] = OrderedDict()

    def judge(
        self,
        components: Sequence[LicensedComponent],
        use: IntendedUse,
        circumstances: Circumstances = ORDINARY,
    ) -> Verdict:
        """``evaluate``, or what it answered to the same question before."""
        question = (tuple(components), use, circumstances)
        known = self._known.pop(question, None)
        if known is None:
            known = evaluate(components, use, self._terms, circumstances)
        self._known[question] = known
        if len(self._known) > self._most:
            self._known.popitem(last=False)
        return known
