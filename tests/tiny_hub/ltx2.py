"""A repository of LTX-2 in its published layout: picture and sound, a distilled checkpoint, an upscaler.

The transformer has all 48 layers. Text encoder, autoencoders and vocoder are of the published classes, shallower.
"""

from pathlib import Path
from typing import Any

from tests.tiny_hub.tokenizers import gemma

TEXT_LAYERS, WIDTH, LATENTS = 2, 16, 8
SOUND = 32  # latent channels times latent bins; the published model has 128 of them
# Names of LTX-2's own code for those of diffusers; the order matters, since some contain others.
OWN_NAMES = (
    ("audio_proj_in", "audio_patchify_proj"),
    ("av_cross_attn_video_scale_shift", "av_ca_video_scale_shift_adaln_single"),
    ("av_cross_attn_video_a2v_gate", "av_ca_a2v_gate_adaln_single"),
    ("av_cross_attn_audio_scale_shift", "av_ca_audio_scale_shift_adaln_single"),
    ("av_cross_attn_audio_v2a_gate", "av_ca_v2a_gate_adaln_single"),
    ("video_a2v_cross_attn_scale_shift_table", "scale_shift_table_a2v_ca_video"),
    ("audio_a2v_cross_attn_scale_shift_table", "scale_shift_table_a2v_ca_audio"),
    ("norm_q", "q_norm"),
    ("norm_k", "k_norm"),
)
OWN_STARTS = (
    ("proj_in.", "patchify_proj."),
    ("audio_time_embed.", "audio_adaln_single."),
    ("time_embed.", "adaln_single."),
)


def _transformer(seed: int) -> Any:
    import torch
    from diffusers import LTX2VideoTransformer3DModel

    torch.manual_seed(seed)
    return LTX2VideoTransformer3DModel(
        in_channels=LATENTS, out_channels=LATENTS, num_attention_heads=2, attention_head_dim=8,
        cross_attention_dim=16, audio_in_channels=SOUND, audio_out_channels=SOUND, audio_num_attention_heads=2,
        audio_attention_head_dim=4, audio_cross_attention_dim=8, num_layers=48, caption_channels=WIDTH,
        rope_type="split",
    )  # fmt: skip


def _text_encoder(tokenizer: Any) -> Any:
    from transformers import Gemma3Config, Gemma3ForConditionalGeneration

    words = {
        "vocab_size": len(tokenizer), "hidden_size": WIDTH, "intermediate_size": 32, "num_hidden_layers": TEXT_LAYERS,
        "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 8, "max_position_embeddings": 2048,
    }  # fmt: skip
    sight = {
        "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
        "image_size": 16, "patch_size": 8,
    }  # fmt: skip
    return Gemma3ForConditionalGeneration(
        Gemma3Config(text_config=words, vision_config=sight, mm_tokens_per_image=1)
    ).eval()


def write_ltx2(folder: Path) -> None:
    """The repository, with the two files that the distilled method adds in its root."""
    import torch
    from diffusers import (
        AutoencoderKLLTX2Audio,
        AutoencoderKLLTX2Video,
        FlowMatchEulerDiscreteScheduler,
        LTX2Pipeline,
    )
    from diffusers.pipelines.ltx2 import LTX2LatentUpsamplerModel, LTX2TextConnectors, LTX2Vocoder
    from safetensors.torch import save_file

    torch.manual_seed(0)
    tokenizer = gemma()
    LTX2Pipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(
            use_dynamic_shifting=True, base_shift=0.95, max_shift=2.05, base_image_seq_len=1024,
            max_image_seq_len=4096, shift_terminal=0.1,
        ),
        vae=AutoencoderKLLTX2Video(
            latent_channels=LATENTS, block_out_channels=(8, 16, 32, 64), decoder_block_out_channels=(8, 16, 32),
            layers_per_block=(1, 1, 1, 1, 1), decoder_layers_per_block=(1, 1, 1, 1), timestep_conditioning=False, spatial_compression_ratio=32, temporal_compression_ratio=8,
        ),
        audio_vae=AutoencoderKLLTX2Audio(base_channels=SOUND, num_res_blocks=1, mel_bins=16),
        text_encoder=_text_encoder(tokenizer),
        tokenizer=tokenizer,
        connectors=LTX2TextConnectors(
            caption_channels=WIDTH, text_proj_in_factor=TEXT_LAYERS + 1, video_connector_num_attention_heads=2,
            video_connector_attention_head_dim=8, audio_connector_num_attention_heads=2,
            audio_connector_attention_head_dim=8, rope_type="split",
        ),
        transformer=_transformer(1),
        vocoder=LTX2Vocoder(in_channels=SOUND, hidden_channels=32),
    ).save_pretrained(folder)  # fmt: skip
    upscaler = LTX2LatentUpsamplerModel(in_channels=LATENTS, mid_channels=32)
    upscaler.save_pretrained(folder / "latent_upsampler")
    save_file(upscaler.state_dict(), folder / "ltx-2-spatial-upscaler-x2-1.0.safetensors")
    own = {
        f"model.diffusion_model.{_own_name(name)}": value
        for name, value in _transformer(2).state_dict().items()
    }
    beside = {
        "vae.decoder.conv_in.conv.weight": torch.zeros(2),
        "text_embedding_projection.weight": torch.zeros(2),
    }
    save_file(own | beside, folder / "ltx-2-19b-distilled.safetensors")


def _own_name(name: str) -> str:
    for ours, theirs in OWN_NAMES:
        name = name.replace(ours, theirs)
    for ours, theirs in OWN_STARTS:
        if name.startswith(ours):
            return theirs + name.removeprefix(ours)
    return name
