"""Names of languages: the labels of lid.176 as ISO 639-3 and ISO 15924, such as "deu_Latn".

Where ISO 639-3 has a macrolanguage and its members, it is the member that is written most, as
GlotLID and so FinePDFs have it: "arb" for Arabic, "ekk" for Estonian, "cmn" for Chinese. Both have
"fas" for Persian. lid.176 knows Wikipedias: "als" is Alemannic, "bh" Bhojpuri.
"""

from __future__ import annotations

import re
from functools import cache

UNKNOWN = "unknown"
"""The language of a page with too few letters, or of a document of such pages."""

_CODES = """
af afr_Latn  als gsw_Latn  am amh_Ethi  an arg_Latn  ar arb_Arab  arz arz_Arab  as asm_Beng
ast ast_Latn  av ava_Cyrl  az azj_Latn  azb azb_Arab  ba bak_Cyrl  bar bar_Latn  bcl bcl_Latn
be bel_Cyrl  bg bul_Cyrl  bh bho_Deva  bn ben_Beng  bo bod_Tibt  bpy bpy_Beng  br bre_Latn
bs bos_Latn  bxr bxr_Cyrl  ca cat_Latn  cbk cbk_Latn  ce che_Cyrl  ceb ceb_Latn  ckb ckb_Arab
co cos_Latn  cs ces_Latn  cv chv_Cyrl  cy cym_Latn  da dan_Latn  de deu_Latn  diq diq_Latn
dsb dsb_Latn  dty dty_Deva  dv div_Thaa  el ell_Grek  eml eml_Latn  en eng_Latn  eo epo_Latn
es spa_Latn  et ekk_Latn  eu eus_Latn  fa fas_Arab  fi fin_Latn  fr fra_Latn  frr frr_Latn
fy fry_Latn  ga gle_Latn  gd gla_Latn  gl glg_Latn  gn gug_Latn  gom gom_Deva  gu guj_Gujr
gv glv_Latn  he heb_Hebr  hi hin_Deva  hif hif_Latn  hr hrv_Latn  hsb hsb_Latn  ht hat_Latn
hu hun_Latn  hy hye_Armn  ia ina_Latn  id ind_Latn  ie ile_Latn  ilo ilo_Latn  io ido_Latn
is isl_Latn  it ita_Latn  ja jpn_Jpan  jbo jbo_Latn  jv jav_Latn  ka kat_Geor  kk kaz_Cyrl
km khm_Khmr  kn kan_Knda  ko kor_Hang  krc krc_Cyrl  ku kmr_Latn  kv kpv_Cyrl  kw cor_Latn
ky kir_Cyrl  la lat_Latn  lb ltz_Latn  lez lez_Cyrl  li lim_Latn  lmo lmo_Latn  lo lao_Laoo
lrc lrc_Arab  lt lit_Latn  lv lvs_Latn  mai mai_Deva  mg plt_Latn  mhr mhr_Cyrl  min min_Latn
mk mkd_Cyrl  ml mal_Mlym  mn khk_Cyrl  mr mar_Deva  mrj mrj_Cyrl  ms zsm_Latn  mt mlt_Latn
mwl mwl_Latn  my mya_Mymr  myv myv_Cyrl  mzn mzn_Arab  nah nah_Latn  nap nap_Latn  nds nds_Latn
ne npi_Deva  new new_Deva  nl nld_Latn  nn nno_Latn  no nob_Latn  oc oci_Latn  or ory_Orya
os oss_Cyrl  pa pan_Guru  pam pam_Latn  pfl pfl_Latn  pl pol_Latn  pms pms_Latn  pnb pnb_Arab
ps pbt_Arab  pt por_Latn  qu quy_Latn  rm roh_Latn  ro ron_Latn  ru rus_Cyrl  rue rue_Cyrl
sa san_Deva  sah sah_Cyrl  sc srd_Latn  scn scn_Latn  sco sco_Latn  sd snd_Arab  sh hbs_Latn
si sin_Sinh  sk slk_Latn  sl slv_Latn  so som_Latn  sq als_Latn  sr srp_Cyrl  su sun_Latn
sv swe_Latn  sw swh_Latn  ta tam_Taml  te tel_Telu  tg tgk_Cyrl  th tha_Thai  tk tuk_Latn
tl fil_Latn  tr tur_Latn  tt tat_Cyrl  tyv tyv_Cyrl  ug uig_Arab  uk ukr_Cyrl  ur urd_Arab
uz uzn_Latn  vec vec_Latn  vep vep_Latn  vi vie_Latn  vls vls_Latn  vo vol_Latn  wa wln_Latn
war war_Latn  wuu wuu_Hani  xal xal_Cyrl  xmf xmf_Geor  yi ydd_Hebr  yo yor_Latn  yue yue_Hani
zh cmn_Hani
"""

# Languages that are written in several scripts: the text says which. The first is the one above.
_SCRIPTS = """
azj Latn Cyrl Arab  bel Cyrl Latn  bos Latn Cyrl  gom Deva Latn  hbs Latn Cyrl
kaz Cyrl Latn Arab  kir Cyrl Arab Latn  khk Cyrl Mong  kmr Latn Arab Cyrl  ron Latn Cyrl
snd Arab Deva  srp Cyrl Latn  tat Cyrl Latn Arab  tgk Cyrl Latn Arab  tuk Latn Cyrl Arab
uig Arab Cyrl Latn  uzn Latn Cyrl Arab
"""

_LETTERS = {
    "Latn": "a-zA-Z\u00aa\u00ba\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u02af\u1e00-\u1eff",
    "Cyrl": "\u0400-\u052f\u1c80-\u1c8f\u2de0-\u2dff\ua640-\ua69f",
    "Arab": (
        "\u0620-\u064a\u066e-\u06d3\u06fa-\u06ff\u0750-\u077f\u08a0-\u08ff\ufb50-\ufdff\ufe70-\ufefc"
    ),
    "Deva": "\u0904-\u0939\u0958-\u0961\u0971-\u097f",
    "Mong": "\u1820-\u18aa",
}
_CODE = re.compile(r"[a-z]{3}_[A-Z][a-z]{3}")


@cache
def codes() -> dict[str, str]:
    """Return the code of each label of lid.176."""
    words = _CODES.split()
    return dict(zip(words[::2], words[1::2], strict=True))


@cache
def _scripts() -> dict[str, tuple[str, ...]]:
    return {
        match[1]: tuple(match[2].split())
        for match in re.finditer(r"([a-z]{3})((?: [A-Z][a-z]{3})+)", _SCRIPTS)
    }


@cache
def known_codes() -> frozenset[str]:
    """Return every code that a document can be filed under by lid.176."""
    found = set(codes().values())
    for code in codes().values():
        language = code.partition("_")[0]
        found.update(f"{language}_{script}" for script in _scripts().get(language, ()))
    return frozenset(found)


def code_of(label: str) -> str:
    """Return the code of a model's label; of one that lid.176 does not have, the label itself."""
    return codes().get(label, label)


def is_code(text: str) -> bool:
    """Say whether a text has the form of a code, such as "deu_Latn" or "zxx_Zzzz"."""
    return _CODE.fullmatch(text) is not None


def in_script_of(code: str, text: str) -> str:
    """Return a code with the script a text is written in, if its language has several."""
    language, _, script = code.partition("_")
    scripts = _scripts().get(language)
    if not scripts or script not in scripts:
        return code
    # The model's choice comes first, so that it stays in a text that has letters of neither.
    ordered = (script, *(other for other in scripts if other != script))
    return f"{language}_{max(ordered, key=lambda name: _num_letters(name, text))}"


def _num_letters(script: str, text: str) -> int:
    return len(_letters_of(script).findall(text))


@cache
def _letters_of(script: str) -> re.Pattern[str]:
    return re.compile(f"[{_LETTERS[script]}]")
