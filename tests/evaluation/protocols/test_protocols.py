import dataclasses
import json

import pytest

from evaluation.judges import weights as judges
from evaluation.protocols import PROTOCOLS, FIDProtocol, Protocol, sprites

# A published number stands on these. After a change of constants raise the family's version and add a line, made with
# python -c "from evaluation.protocols import PROTOCOLS; [print(i, PROTOCOLS[i].hash) for i in PROTOCOLS]"
HASHES = {
    "fid@ttur-1": "0a89459be97998215018b82c18ae6845dba73c33515dff5ff3eb4f919606bcb9",
    "is@ttur-1": "b2847fd60be823c63d6359099ae45cb06e2b5ffe5e25442afb49c7f95d947c0f",
    "kid@ttur-1": "9d610df403d2c21500378de5e0796bcfc220c6650100081e4f75de65666c2cc9",
    "prdc@ttur-1": "301e52029641049e6fce2d967bff4c215432f2217cf1554a9650f1fcf3b490e7",
    "fd-infinity@ttur-1": "8eddc04355e7f148b7e7363544bfcc25bfe58034c314acf27f6a5b9f5c6d9dfd",
    "fid@adm-1": "65c2a8514419578ea4a0ed319a553f80b3905639913f18807bd2533616192b2d",
    "is@adm-1": "37f3126cb2953e2cdaaab470e85d01a9ad2e6b20422e9d53350f3355eb9a3b25",
    "prdc@adm-1": "85d5578bec4e8f9151c0d5c7edda6df625aee95df6cbf9f0c903e8c82a491a70",
    "clipsim@openai-b32-1": "bf01e0338eba5433502d7c01a3b3b046b4c989f9ee9096e2f8c80eb780fa7b54",
    "clipsim@openai-b16-1": "69f014988af1667da143152171d63f74e0b1f0b345acef7dc52546f369fedc71",
    "clipsim@openai-l14-1": "34f92b1a364a6c5e0ac62e7a9bc2ccc091dc5a4b5542b33f2251bb2305f4ac28",
    "clipsim@openai-b32-x100-1": "61707ff1f13581539558838684ce7bb02b92fdc40aa6fe3b1c31773677f0f367",
    "rm@openai-b32-1": "607a9886d02b243669a398656d5caa2b6b76016897d9cae372f8614658aec66d",
    "fid@clean-1": "853aeeadb2a02b062a10670ab8c4109702ee01bbff5641bf012261cd54adda99",
    "kid@clean-1": "d1f009d59b7be7533504cca95328c43ad3280fd59c62a17e902c239babaf6def",
    "clip-fid@clean-1": "ec8e8386236c879c38533f371ed30632a13fc5959ba610d947042515abb5301b",
    "fid@dmgan-coco-1": "0a049f6cdd8c3f0251ab8e2e52b1c66999e97c43912bcb006222a85b663d57e1",
    "is@cogview-1": "9fec1174f63be3342cd68bbdcbb564f731077b3b4a9dbfb45267de05cc04ae98",
    "fd-dinov2@dgm-1": "96e280c2cb1b6088c8e7eb2a763d65d32a9d633f43bb37b11c17ec936002eb95",
    "prdc@dgm-1": "0f77c9c27238b603984736c2478720a973b5d1767df72b1b7afafec4f1c76f7c",
    "fd-infinity@dgm-1": "5945b096ef6bc52bf212a3e70ebc7c3fa165fbbc78dff01c4977a60b281ed8e5",
    "fd-dinov2@edm2-1": "8b119fa3a402439b24fa5a10a9eb12c113c73c9fa63c22a20dbdc665ff8fcb2f",
    "cmmd@google-research-1": "55dec0f00f42bed4050f00143cc390c092a1f28fcc9e3abd010323ea103741e7",
    "clipscore@hessel-1": "e40f3b48f5c49cfa0073cc5105a182157da142d24f3bf2dd9689bfa53d1cee18",
    "is@improved-gan-1": "bc455641de26e6e629ba64ae59e0597ef8cb887952f7a7993de9854b757d7a02",
    "fid@pytorch-fid-1": "9f0266f4aca1d87c9b774c449b47dfd83259d22bfd30ad770ef74051cb4f6b3e",
    "fid@sg2ada-1": "eec26edfc05ed7ff9f5e9a37e086aca3c0d3cca92733ce81288923947516405b",
    "is@sg2ada-1": "e2234c7d89c0e1393a6d33beb13fb81d85649ab3b5b6fe0a2a7cf5b665fbd69c",
    "kid@sg2ada-1": "39e7c86666b07be932a18221662767b7b4248b83afd984ed9db5d1b5bbd5aa50",
    "fid@sprites-1": "035a64bf65aec38f53c2f2c8086156364cb512bcd92a46a516020445ac5fd0cc",
    "is@sprites-1": "67aa092348dc44492c76762d7a72692cc8e234d67d35edd6eb6a6a6cf268f7c8",
    "clipsim@sprites-1": "a5cecc959a9b227fcf46def190058e799b7d0a4b6e1371662b293485b12e6ffc",
    "caption-accuracy@sprites-1": "5ef2c2791b6182416240d50323cb8cd682d4aa59237ae9d26ce0daef027e188e",
    "kid@sprites-1": "08c210da692b9f0720b8426b0055b04d9527b58cab857d290fd88f5cafe38af0",
    "prdc@sprites-1": "de79a1259b7c248fbb38196ae38cbf75b7a3f16f5e0f53a46cd5ed2601da733c",
    "fd-infinity@sprites-1": "db97d89902e6bfee3d763bf821c473b2137e368afd977a5f3320265a6d95a4bb",
    "rm@sprites-1": "e961d4c7b58b5ab6bb30d32160354abc562fe3e81a416922346242aee24378e5",
    "fvd@sprites-1": "69485567dd418c77b6b67e159fbcb0f917a28487226feddfe05dd5846348d23b",
    "fid-vid@sprites-1": "293aef538ef47a39d9c9da89107bacc1e88636857d69ad5068ec44e02f5ed73b",
    "acc@sprites-1": "3a92abd86a6bacbe7b268540d2f1f82e136af4435c34f2bd60762996d4fcdd68",
    "detected-pa@sprites-1": "7b583b306d9a0fcaae5796236a56826cfc0c659835915ce28489e1fa4b1b3a8a",
    "detected-fwiou@sprites-1": "f3bb022799ca6b025f50185f51197ed855c22ede9b2d173a8d7b561847b26c33",
    "detected-miou@sprites-1": "7574d9ee9223648a014a507f0f49121192bd56cb9bc12bcc85339736eca10ae0",
    "edit-accuracy@sprites-1": "f4a1679b070bb61eec914e61ff9aa3a987903a17deae11ea8e53be622146c883",
    "edit-accuracy@sprites-clips-1": "bbb601c0057b4b6fcb3ed679b1a99abd8b49af959c7f02ebf804fa5a2da83b39",
    "fid@torchmetrics-aa-1": "2d10c03a6789aa1b2f9fe0c02f09a166715981ce18fcd9fadbb381ae951c443d",
    "fvd@videogpt-1": "60a7b5306f52de035e752ae86713ed87302493ab7cf5b3a8c901d43061151a9f",
    "fvd@cd-fvd-1": "42aa57ae505ee6970d55c568a7ae626d2ec65b865ef2e9ae88b56917e069d3bc",
    "fvd@cd-fvd-256px-1": "7ed2df6fb175fe6646209a8f03a2477f54a4c736ccee75706401569e4843022c",
    "fid-img@inception-positions-1": "01f4c619b719553717ae577f1356eb88326db66d2d61e5c529a55b0eba5e7bd3",
    "fid-img@inception-pooled-1": "80266cd4de4e409f1fed1487145ca346df3deb7025926b482bb9a8820aba043d",
    "fid-img@sprites-1": "0aab80a4448b344f58ca7e79b4766efc464916cb96aae0fa7fa0b84e81b59c1c",
    "fvd@google-1": "3cf8905174cfadeb702dd147519ac4c86193473237f42ac878f3b740f3c561e3",
    "fvd@google-15f-1": "0514ebeec0de0daf3e0344f372653e5d19daa79c13f42183eb961198f16f8a28",
    "fid-vid@r3d-18-1": "03ed19541dd14e589b732d3af3aad01324f0d7edd98e3de7b8110041b935c6f1",
    "fid-vid@mc3-18-1": "6c2d77fdd5f85ad1fa250de957c2d9eece05ca7360f3b4855f93358650e551ff",
    "fid-vid@r2plus1d-18-1": "a128ba6e5ec254ea4e6959e8d9a95b31f8da5fba986517ffc78775ba8b8a3d2f",
    "fid-vid@s3d-1": "3044479c948c5dd680f18f5e5bbfe0cb297f1c61c6ce0b8e66f0dc5b8478e90f",
    "fid-vid@mvit-v2-s-1": "8aa20b99f609d4251dfe05fdd74c9e42cbd19010d47f16850282db8b17805a21",
    "fid-vid@swin3d-t-1": "3678bf88898267009f0da3df876f578b9d69f4bb8844ac3dc450bd9dfafac53b",
    "fid-vid@i3d-1": "61cb2cb0b6f45346dde81814b8e5df799429c272bad3694a341040d005de300e",
    "acc@r3d-18-1": "b6e3c6a7e4e54136af3051e8f1b0a78a2e82e97c46d87b1644a4c963a4c98e2c",
    "acc@mc3-18-1": "33c6113f1403f76f9275510146eeb110f3a51f56d114174075a46566ae7dbfa2",
    "acc@r2plus1d-18-1": "66a2a98c684c2427db1fc1f33c4e2b6c8bebf03c1a286327c301bab8e7784567",
    "acc@s3d-1": "3a67037768f4482c80abfa9afc250dd0ca84c8ba685c4fedda17142309200407",
    "acc@mvit-v2-s-1": "952c7258cde8abda2cfea58534a11456a1e8f5ac486e181217d70d9a833f136d",
    "acc@swin3d-t-1": "6c6649019cbbccaaefd23312e00aa2be6f229b8c4237cd7061adf0ea3ccc8b84",
    "acc@i3d-1": "50ac07e497d8c43da4b5422874f2658a39e845a8ab131903f7ec5ea1e6bd73f1",
    "ssim@torchmetrics-1": "0af4e07656dfaec6ada8b1bde856f77a5efd369832657491be3d39891f71482d",
    "ssim@wang-1": "c19efc6e3372bf6c9c8c651988384eb5653c0865627f36ca6b2186caa2cc6124",
    "codebook@nuwa-1": "10bb78b36c55853885845a430d46b1bef1cf5154d4ffc34b070beae9d866835f",
    "masked-ssim@nuwa-1": "47fd7d228717a10ca363ebe7e21ceb665ea4a5a85d34d317f0173e5cc4622694",
    "unchanged@nuwa-1": "54d3af4f57bb3e2ebb6555ffad081e01693cbfd9d27025c988b354a524b6b01b",
    "psnr@frames-1": "3276e242d460ea0737046f3c6f6da61883e7279ccdecd360e7e0f1038a46ba4b",
    "psnr@squared-error-1": "6fba0401a08a1a090830b38d6babc09f0223e3d62e6cbdc7305147eee49f6d48",
    "lpips@vgg-1": "d2f135fd3699124a98f2d68bd2b0b014cb004f64b49481a8e3a574f624013fce",
    "lpips@alex-1": "d0768f3518453758b2bc583e4424cf9eb04e662b5e582fc87eaa92a497952ba8",
    "pa@sprites-1": "0d851a6f7f436433ab075be8071bd7da0371c30f7aae0383040af4d60eb3efb0",
    "pa@coco-things-1": "62e508c43c584a18113bddc480845e4178b71e5e89def6675a7c0355a62048b6",
    "fwiou@sprites-1": "1b1ea0109e3f54daaea357467ba79bb251609d44867268e34f0766620c0a9836",
    "fwiou@coco-things-1": "0ac3726db409d0f22963493c21ec6f6537d97484e223acf15035258a17a75c8d",
    "miou@sprites-1": "b62878ae29e9fd990b5e5277adcfc04c0c1f789c10d59814dd56d0afae5e5816",
    "miou@coco-things-1": "31caef061284d694e58b3899ba00b5460f66650bf28e1a5f9d594c197a24233f",
    "detected-pa@deeplabv3-resnet50-voc-1": "dbc6ab4845c6f5a8cf12672e4ded3b05c211eb24da91f83d2bd0d4b1ceeadb79",
    "detected-fwiou@deeplabv3-resnet50-voc-1": "39b5afb10535cfdf4135389300a9568d07e1e34c5e5c74e9f012960541e6810e",
    "detected-miou@deeplabv3-resnet50-voc-1": "0d6186820a2da28ac3395e802d81e4a80699146e96e04f4e8b6054e399716afd",
    "fvd@stylegan-v-1": "d87f623882f0ca4a4d51ed699faf91b5476a33568a79a9338ed420bc124b7d3f",
    "fvd@stylegan-v-128f-1": "f9e02344f9439cd204845e9fb8a6fcf5508550d79054c16a6c487344c4647f96",
    "fvd@stylegan-v-step8-1": "b5782bc299f8f36dc1000a6aa120cfe8157467f2d0a0b9641c3038a8fbfcef9e",
    "is@torchmetrics-aa-1": "5aa2f0699345acc74f17b7bd379610f401c25d345fd736c7a71a83195c373021",
    "kid@torchmetrics-aa-1": "2209605c8d2930a11e8c2af06277d30aa91103e0f8685bf37b4bd5369a077812",
    "fvd@videogpt-float64-1": "7ebef2a9e7f5dd7f3717a70a31bc1cd11be0e678309c13ec180547dcc1e59051",
}


def test_every_protocol_is_frozen_by_its_hash():
    assert {name: PROTOCOLS[name].hash for name in PROTOCOLS} == HASHES


@pytest.mark.parametrize("name", PROTOCOLS.names())
def test_registered_under_its_own_id(name):
    protocol = PROTOCOLS[name]
    assert protocol.id == name
    assert protocol.source
    json.dumps(protocol.constants, allow_nan=False)


@pytest.mark.parametrize(
    ("protocol", "judge"),
    [
        (sprites.FID, "image"),
        (sprites.INCEPTION_SCORE, "image"),
        (sprites.CAPTION_ACCURACY, "image"),
        (sprites.EDIT_ACCURACY, "image"),
        (sprites.CLIPSIM, "clip"),
        (sprites.FVD, "video"),
        (sprites.FID_VID, "video"),
        (sprites.ACC, "video"),
        (sprites.CLIP_EDIT_ACCURACY, "video"),
        (sprites.DETECTED["pa"], "segmenter"),
    ],
)
def test_the_judges_are_the_ones_shipped(protocol, judge):
    card = judges.read_card()[judge]
    assert (protocol.network, protocol.weights_sha256) == (card["name"], card["sha256"])


def altered(value: object) -> object:
    if isinstance(value, bool) or value is None:
        return not value
    return value + 1 if isinstance(value, int | float) else (*value, 99) if isinstance(value, tuple) else f"{value}x-1"


@pytest.mark.parametrize("field", [f.name for f in dataclasses.fields(FIDProtocol) if f.name != "source"])
def test_every_constant_moves_the_hash(field):
    value = altered(getattr(sprites.FID, field))
    assert dataclasses.replace(sprites.FID, **{field: value}).hash != sprites.FID.hash


def test_the_words_about_it_do_not_move_the_hash():
    assert dataclasses.replace(sprites.FID, source="said otherwise").hash == sprites.FID.hash


def test_kinds_with_equal_constants_differ():
    constants = {"metric": "a", "family": "b-1", "network": "c", "layer": "d", "weights_sha256": None, "replicates": 2}
    other = type("Other", (Protocol,), {})
    one, two = (kind(**constants, interval_seed=1, source="d") for kind in (Protocol, other))
    assert one.hash != two.hash


@pytest.mark.parametrize("changes", [{"family": "sprites"}, {"family": "Sprites-1"}, {"metric": "FID 0"}])
def test_an_id_has_a_metric_and_a_version(changes):
    with pytest.raises(ValueError, match="a family ends in its version"):
        dataclasses.replace(sprites.FID, **changes)


def test_unknown_protocol_names_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'fid@sprites-1'"):
        PROTOCOLS["fid@sprite-1"]


@pytest.mark.parametrize(("picture_px", "expected"), [(256, 16.0), (32, 2.0), (64, 4.0)])
def test_blur_scales_with_the_picture(picture_px, expected):
    assert sprites.FID.sigma_px(4, picture_px) == expected
    assert dataclasses.replace(sprites.FID, blur_picture_px=None).sigma_px(4, picture_px) == 4.0
